window.YTD.tweet.part0 = [
  {
    "edit_info": {
      "initial": {
        "editTweetIds": [
          "1000000000000000001"
        ]
      }
    },
    "retweeted": false,
    "entities": {
      "hashtags": [],
      "urls": []
    },
    "id_str": "1000000000000000001",
    "id": "1000000000000000001",
    "created_at": "Thu Nov 17 10:12:44 +0000 2022",
    "full_text": "Snow &amp; sun #optimism",
    "lang": "en"
  }
]