window.YTD.tweets.part0 = [
  {
    "tweet": {
      "edit_info": {
        "initial": {
          "editTweetIds": [
            "1593000000000000001"
          ]
        }
      },
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "id_str": "1593000000000000001",
      "id": "1593000000000000001",
      "created_at": "Thu Nov 17 10:12:44 +0000 2022",
      "full_text": "Rain again, and I love it &lt;3 #joy",
      "lang": "en"
    }
  },
  {
    "tweet": {
      "edit_info": {
        "initial": {
          "editTweetIds": [
            "1593000000000000002"
          ]
        }
      },
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "id_str": "1593000000000000002",
      "id": "1593000000000000002",
      "created_at": "Thu Nov 17 10:12:44 +0000 2022",
      "full_text": "@weather is that all? \ud83c\udf27 #sadness https://t.co/abc",
      "lang": "en",
      "in_reply_to_user_id": "12",
      "in_reply_to_screen_name": "weather"
    }
  },
  {
    "tweet": {
      "edit_info": {
        "initial": {
          "editTweetIds": [
            "1593000000000000003"
          ]
        }
      },
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "id_str": "1593000000000000003",
      "id": "1593000000000000003",
      "created_at": "Thu Nov 17 10:12:44 +0000 2022",
      "full_text": "RT @weather: rain",
      "lang": "en"
    }
  }
]