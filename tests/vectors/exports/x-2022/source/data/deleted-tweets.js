window.YTD.deleted_tweets.part0 = [
  {
    "tweet": {
      "edit_info": {
        "initial": {
          "editTweetIds": [
            "1593000000000000005"
          ]
        }
      },
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "id_str": "1593000000000000005",
      "id": "1593000000000000005",
      "created_at": "Thu Nov 17 10:12:44 +0000 2022",
      "full_text": "never mind #anger",
      "lang": "en",
      "deleted_at": "2022-11-18T09:00:00.000Z"
    }
  }
]