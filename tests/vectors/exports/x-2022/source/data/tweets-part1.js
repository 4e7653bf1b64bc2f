window.YTD.tweets.part1 = [
  {
    "tweet": {
      "edit_info": {
        "initial": {
          "editTweetIds": [
            "1593000000000000004"
          ]
        }
      },
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "id_str": "1593000000000000004",
      "id": "1593000000000000004",
      "created_at": "Thu Nov 17 10:12:44 +0000 2022",
      "full_text": "no tag here",
      "lang": "en"
    }
  }
]