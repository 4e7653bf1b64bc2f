Grailbird.data.tweets_2013_04 =
[
 {
  "source": "web",
  "entities": {
   "hashtags": [
    {
     "text": "april",
     "indices": [
      6,
      12
     ]
    }
   ]
  },
  "id_str": "318000000000000001",
  "text": "Cold. #april",
  "id": 318000000000000001,
  "created_at": "2013-04-01 09:00:00 +0000",
  "user": {
   "name": "Ada"
  }
 }
]