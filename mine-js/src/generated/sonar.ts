// Made by scripts/generate.py from the Python side. Do not edit.

export const SONAR_ABI = [
 {
  "name": "CampaignLaunched",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "data_scientist",
    "type": "address",
    "indexed": true
   },
   {
    "name": "capsule",
    "type": "address",
    "indexed": true
   },
   {
    "name": "nonce",
    "type": "bytes32",
    "indexed": false
   },
   {
    "name": "terms",
    "type": "tuple",
    "components": [
     {
      "name": "spec",
      "type": "bytes32"
     },
     {
      "name": "capsule",
      "type": "address"
     },
     {
      "name": "token",
      "type": "address"
     },
     {
      "name": "bounty",
      "type": "uint256"
     },
     {
      "name": "fee",
      "type": "uint256"
     },
     {
      "name": "bond",
      "type": "uint256"
     },
     {
      "name": "start_ppm",
      "type": "uint256"
     },
     {
      "name": "start_tolerance_ppm",
      "type": "uint256"
     },
     {
      "name": "target_ppm",
      "type": "uint256"
     },
     {
      "name": "min_improvement_ppm",
      "type": "uint256"
     },
     {
      "name": "deadline",
      "type": "uint256"
     },
     {
      "name": "grace",
      "type": "uint256"
     },
     {
      "name": "max_gradients",
      "type": "uint256"
     },
     {
      "name": "max_batch",
      "type": "uint256"
     }
    ],
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "BountyToppedUp",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "sender",
    "type": "address",
    "indexed": true
   },
   {
    "name": "amount",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "bounty",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "CampaignCancelled",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "refund",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "CampaignRejected",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "reason",
    "type": "string",
    "indexed": false
   },
   {
    "name": "refund",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "CampaignOpened",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "keys",
    "type": "bytes32",
    "indexed": false
   },
   {
    "name": "model",
    "type": "bytes32",
    "indexed": false
   },
   {
    "name": "accuracy_ppm",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "GradientSubmitted",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "miner",
    "type": "address",
    "indexed": true
   },
   {
    "name": "gradient",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "version",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "envelope",
    "type": "bytes32",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "GradientScored",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "miner",
    "type": "address",
    "indexed": true
   },
   {
    "name": "gradient",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "batch",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "share_ppm",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "payout",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "reason",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "bond_returned",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "BatchScored",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "batch",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "accuracy_ppm",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "best_ppm",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "version",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "model",
    "type": "bytes32",
    "indexed": false
   },
   {
    "name": "receipt",
    "type": "bytes32",
    "indexed": false
   },
   {
    "name": "paid",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "forfeited",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "bounty",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "KeysRotated",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "epoch",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "version",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "keys",
    "type": "bytes32",
    "indexed": false
   },
   {
    "name": "model",
    "type": "bytes32",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "CampaignDelivered",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "delivery",
    "type": "bytes32",
    "indexed": false
   },
   {
    "name": "fee",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "refund",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "CampaignExpired",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "sender",
    "type": "address",
    "indexed": true
   },
   {
    "name": "refund",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "BondReclaimed",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256",
    "indexed": true
   },
   {
    "name": "miner",
    "type": "address",
    "indexed": true
   },
   {
    "name": "gradient",
    "type": "uint256",
    "indexed": false
   },
   {
    "name": "amount",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "name": "Withdrawn",
  "inputs": [
   {
    "name": "token",
    "type": "address",
    "indexed": true
   },
   {
    "name": "account",
    "type": "address",
    "indexed": true
   },
   {
    "name": "amount",
    "type": "uint256",
    "indexed": false
   }
  ],
  "anonymous": false,
  "type": "event"
 },
 {
  "stateMutability": "payable",
  "type": "function",
  "name": "launch_campaign",
  "inputs": [
   {
    "name": "nonce",
    "type": "bytes32"
   },
   {
    "name": "terms",
    "type": "tuple",
    "components": [
     {
      "name": "spec",
      "type": "bytes32"
     },
     {
      "name": "capsule",
      "type": "address"
     },
     {
      "name": "token",
      "type": "address"
     },
     {
      "name": "bounty",
      "type": "uint256"
     },
     {
      "name": "fee",
      "type": "uint256"
     },
     {
      "name": "bond",
      "type": "uint256"
     },
     {
      "name": "start_ppm",
      "type": "uint256"
     },
     {
      "name": "start_tolerance_ppm",
      "type": "uint256"
     },
     {
      "name": "target_ppm",
      "type": "uint256"
     },
     {
      "name": "min_improvement_ppm",
      "type": "uint256"
     },
     {
      "name": "deadline",
      "type": "uint256"
     },
     {
      "name": "grace",
      "type": "uint256"
     },
     {
      "name": "max_gradients",
      "type": "uint256"
     },
     {
      "name": "max_batch",
      "type": "uint256"
     }
    ]
   }
  ],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "payable",
  "type": "function",
  "name": "top_up",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "amount",
    "type": "uint256"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "cancel_campaign",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "reject_campaign",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "reason",
    "type": "string"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "open_campaign",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "keys",
    "type": "bytes32"
   },
   {
    "name": "model",
    "type": "bytes32"
   },
   {
    "name": "accuracy_ppm",
    "type": "uint256"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "score_batch",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "batch",
    "type": "uint256"
   },
   {
    "name": "version",
    "type": "uint256"
   },
   {
    "name": "accuracy_ppm",
    "type": "uint256"
   },
   {
    "name": "model",
    "type": "bytes32"
   },
   {
    "name": "receipt",
    "type": "bytes32"
   },
   {
    "name": "scores",
    "type": "tuple[]",
    "components": [
     {
      "name": "gradient",
      "type": "uint256"
     },
     {
      "name": "share_ppm",
      "type": "uint256"
     },
     {
      "name": "reason",
      "type": "uint256"
     }
    ]
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "rotate_keys",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "version",
    "type": "uint256"
   },
   {
    "name": "keys",
    "type": "bytes32"
   },
   {
    "name": "model",
    "type": "bytes32"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "deliver",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "batch",
    "type": "uint256"
   },
   {
    "name": "delivery",
    "type": "bytes32"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "payable",
  "type": "function",
  "name": "submit_gradient",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "version",
    "type": "uint256"
   },
   {
    "name": "envelope",
    "type": "bytes32"
   }
  ],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "expire_campaign",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "reclaim_bonds",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "gradients",
    "type": "uint256[]"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "nonpayable",
  "type": "function",
  "name": "withdraw",
  "inputs": [
   {
    "name": "token",
    "type": "address"
   }
  ],
  "outputs": []
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "campaign",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   }
  ],
  "outputs": [
   {
    "name": "",
    "type": "tuple",
    "components": [
     {
      "name": "data_scientist",
      "type": "address"
     },
     {
      "name": "terms",
      "type": "tuple",
      "components": [
       {
        "name": "spec",
        "type": "bytes32"
       },
       {
        "name": "capsule",
        "type": "address"
       },
       {
        "name": "token",
        "type": "address"
       },
       {
        "name": "bounty",
        "type": "uint256"
       },
       {
        "name": "fee",
        "type": "uint256"
       },
       {
        "name": "bond",
        "type": "uint256"
       },
       {
        "name": "start_ppm",
        "type": "uint256"
       },
       {
        "name": "start_tolerance_ppm",
        "type": "uint256"
       },
       {
        "name": "target_ppm",
        "type": "uint256"
       },
       {
        "name": "min_improvement_ppm",
        "type": "uint256"
       },
       {
        "name": "deadline",
        "type": "uint256"
       },
       {
        "name": "grace",
        "type": "uint256"
       },
       {
        "name": "max_gradients",
        "type": "uint256"
       },
       {
        "name": "max_batch",
        "type": "uint256"
       }
      ]
     },
     {
      "name": "phase",
      "type": "uint8"
     },
     {
      "name": "version",
      "type": "uint256"
     },
     {
      "name": "epoch",
      "type": "uint256"
     },
     {
      "name": "start_ppm",
      "type": "uint256"
     },
     {
      "name": "best_ppm",
      "type": "uint256"
     },
     {
      "name": "gradients",
      "type": "uint256"
     },
     {
      "name": "pending",
      "type": "uint256"
     },
     {
      "name": "batches",
      "type": "uint256"
     },
     {
      "name": "unspent",
      "type": "uint256"
     },
     {
      "name": "paid",
      "type": "uint256"
     }
    ]
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "gradient",
  "inputs": [
   {
    "name": "campaign",
    "type": "uint256"
   },
   {
    "name": "gradient",
    "type": "uint256"
   }
  ],
  "outputs": [
   {
    "name": "",
    "type": "address"
   },
   {
    "name": "",
    "type": "uint256"
   },
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "VERSION",
  "inputs": [],
  "outputs": [
   {
    "name": "",
    "type": "string"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "PPM",
  "inputs": [],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "MAX_BATCH",
  "inputs": [],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "MAX_GRACE",
  "inputs": [],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "campaign_count",
  "inputs": [],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "campaign_of",
  "inputs": [
   {
    "name": "arg0",
    "type": "address"
   },
   {
    "name": "arg1",
    "type": "bytes32"
   }
  ],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "credit",
  "inputs": [
   {
    "name": "arg0",
    "type": "address"
   },
   {
    "name": "arg1",
    "type": "address"
   }
  ],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "view",
  "type": "function",
  "name": "escrow",
  "inputs": [
   {
    "name": "arg0",
    "type": "address"
   }
  ],
  "outputs": [
   {
    "name": "",
    "type": "uint256"
   }
  ]
 },
 {
  "stateMutability": "nonpayable",
  "type": "constructor",
  "inputs": [],
  "outputs": []
 }
] as const;

/** sha2-256 of the code that is deployed. */
export const SONAR_CODE_SHA256 = "3e885579534c37f513cdb15ba3f7674db889cb9e236e332d7bb0b5d4c84a6140";

export const ADVICE: Record<string, string> = {
  "Sonar: nonce used": "this launch is already a campaign; find it with campaign_of(...)",
  "Sonar: no capsule": "name the Capsule's address in the terms",
  "Sonar: capsule is the payer": "name a third party as Capsule, not your own account",
  "Sonar: no bounty": "put a bounty into the terms",
  "Sonar: fee not below bounty": "lower Capsule's fee or raise the bounty",
  "Sonar: target above 100 %": "accuracies are parts per million, at most 1_000_000",
  "Sonar: target not above start": "ask for more accuracy than the initial model has",
  "Sonar: no improvement step": "min_improvement_ppm is at least 1",
  "Sonar: deadline in the past": "choose a later deadline, and check this machine's clock",
  "Sonar: deadline too far": "deadlines are unix seconds, not milliseconds",
  "Sonar: no grace": "give Capsule at least one second after the deadline",
  "Sonar: grace too long": "the contract allows 30 days at most",
  "Sonar: unknown campaign": "check the campaign's number and the network",
  "Sonar: campaign has ended": "nothing more can be paid in or submitted; withdraw what is yours",
  "Sonar: past the deadline": "Capsule can still score and deliver until the grace is over",
  "Sonar: target reached": "Capsule will deliver the model now",
  "Sonar: not the data scientist": "use the wallet that launched the campaign",
  "Sonar: not the capsule": "use the wallet of the Capsule that the campaign names",
  "Sonar: not awaiting the capsule": "the campaign is already open or over",
  "Sonar: start not below target": "the initial model has the target accuracy already: reject",
  "Sonar: start above the claim": "the measured start does not fit the claim: reject",
  "Sonar: start below the claim": "the measured start does not fit the claim: reject",
  "Sonar: not open": "Capsule has not opened the campaign yet, or it is over",
  "Sonar: version not published": "train on a version that Capsule has published",
  "Sonar: no gradients left": "the campaign has had as many gradients as its terms allow",
  "Sonar: gradient not pending": "it was scored already: read the chain before scoring",
  "Sonar: another batch is due": "the chain stands elsewhere: read it, then report what is due",
  "Sonar: another version is current": "the chain stands elsewhere: read it, then decide anew",
  "Sonar: not the last batch": "a report came or was lost since: read the chain, then deliver",
  "Sonar: wrong sum of shares": "shares sum to 1_000_000 when the batch counts, to 0 when not",
  "Sonar: grace is over": "anyone can expire the campaign now",
  "Sonar: not finished": "deliver at the target, at the deadline, or when no gradient can come",
  "Sonar: grace not over": "Capsule still has time; expire the campaign after deadline + grace",
  "Sonar: campaign has not ended": "pending gradients may still be scored",
  "Sonar: no bond to reclaim": "none of these gradients is pending",
  "Sonar: no credit": "there is nothing to withdraw in this token",
  "Sonar: wrong amount of ETH": "send exactly the bounty, bond or top-up of the call",
  "Sonar: ETH with a token": "this campaign is in an ERC-20 token: send no ETH",
  "Sonar: token took another amount": "tokens that take a fee on transfer cannot be used",
  "Sonar: token gave another amount": "the token does not pay out what it owes",
  "Sonar: token call failed": "the token refused the transfer: check balance and allowance",
  "Sonar: token said no": "the token refused the transfer: check balance and allowance",
  "Sonar: token has no code": "there is no token at that address on this chain",
  "Sonar: account refused ETH": "the account is a contract that takes no ETH"
};
