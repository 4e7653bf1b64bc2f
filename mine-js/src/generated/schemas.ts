// Made by scripts/generate.py from the Python side. Do not edit.

import type { Schema } from "../schema.ts";

export const SCHEMAS: Record<"campaign" | "keys" | "model" | "gradient" | "settings" | "network" | "dataset", Schema> = {
  "campaign": {
    "$defs": {
      "BlobRef": {
        "additionalProperties": false,
        "description": "A blob on the store: its UnixFS CID, size in bytes, and what it is for.",
        "properties": {
          "cid": {
            "pattern": "^b[a-z2-7]{20,120}$",
            "title": "Cid",
            "type": "string"
          },
          "size": {
            "maximum": 1099511627776,
            "minimum": 0,
            "title": "Size",
            "type": "integer"
          },
          "purpose": {
            "pattern": "^[a-z0-9][a-z0-9\\-]{0,63}$",
            "title": "Purpose",
            "type": "string"
          }
        },
        "required": [
          "cid",
          "size",
          "purpose"
        ],
        "title": "BlobRef",
        "type": "object"
      },
      "ColumnsStep": {
        "additionalProperties": false,
        "description": "Numeric columns (arrays flattened), (x - centre) / scale; first in most chains.",
        "properties": {
          "kind": {
            "const": "columns",
            "default": "columns",
            "title": "Kind",
            "type": "string"
          },
          "columns": {
            "items": {
              "maxLength": 128,
              "minLength": 1,
              "pattern": "^[A-Za-z_][\\w.\\-]*$",
              "type": "string"
            },
            "maxItems": 4096,
            "minItems": 1,
            "title": "Columns",
            "type": "array"
          },
          "centre": {
            "default": [],
            "items": {
              "type": "number"
            },
            "maxItems": 8192,
            "title": "Centre",
            "type": "array"
          },
          "scale": {
            "default": [],
            "items": {
              "type": "number"
            },
            "maxItems": 8192,
            "title": "Scale",
            "type": "array"
          }
        },
        "required": [
          "columns"
        ],
        "title": "ColumnsStep",
        "type": "object"
      },
      "FieldConstraints": {
        "additionalProperties": false,
        "description": "What a value must satisfy; `enum` lists the classes of a label in their order.",
        "properties": {
          "required": {
            "anyOf": [
              {
                "type": "boolean"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Required"
          },
          "enum": {
            "anyOf": [
              {
                "items": {
                  "type": "string"
                },
                "maxItems": 4096,
                "minItems": 2,
                "type": "array"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Enum"
          },
          "minimum": {
            "anyOf": [
              {
                "type": "number"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Minimum"
          },
          "maximum": {
            "anyOf": [
              {
                "type": "number"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Maximum"
          },
          "minLength": {
            "anyOf": [
              {
                "maximum": 1048576,
                "minimum": 0,
                "type": "integer"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Minlength"
          },
          "maxLength": {
            "anyOf": [
              {
                "maximum": 1048576,
                "minimum": 0,
                "type": "integer"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Maxlength"
          }
        },
        "title": "FieldConstraints",
        "type": "object"
      },
      "HashedTextStep": {
        "additionalProperties": false,
        "description": "Hashed n-grams of a text column (scikit-learn's HashingVectorizer), L2-normalised rows.",
        "properties": {
          "kind": {
            "const": "hashed-text",
            "default": "hashed-text",
            "title": "Kind",
            "type": "string"
          },
          "column": {
            "maxLength": 128,
            "minLength": 1,
            "pattern": "^[A-Za-z_][\\w.\\-]*$",
            "title": "Column",
            "type": "string"
          },
          "features": {
            "maximum": 8192,
            "minimum": 1,
            "title": "Features",
            "type": "integer"
          },
          "analyzer": {
            "default": "word",
            "enum": [
              "word",
              "char",
              "char_wb"
            ],
            "title": "Analyzer",
            "type": "string"
          },
          "ngram_min": {
            "default": 1,
            "maximum": 8,
            "minimum": 1,
            "title": "Ngram Min",
            "type": "integer"
          },
          "ngram_max": {
            "default": 2,
            "maximum": 8,
            "minimum": 1,
            "title": "Ngram Max",
            "type": "integer"
          }
        },
        "required": [
          "column",
          "features"
        ],
        "title": "HashedTextStep",
        "type": "object"
      },
      "ImagePatchesStep": {
        "additionalProperties": false,
        "description": "ReLU responses to random patches of an image, mean-pooled on a grid.",
        "properties": {
          "kind": {
            "const": "image-patches",
            "default": "image-patches",
            "title": "Kind",
            "type": "string"
          },
          "height": {
            "maximum": 512,
            "minimum": 2,
            "title": "Height",
            "type": "integer"
          },
          "width": {
            "maximum": 512,
            "minimum": 2,
            "title": "Width",
            "type": "integer"
          },
          "patch": {
            "maximum": 32,
            "minimum": 2,
            "title": "Patch",
            "type": "integer"
          },
          "stride": {
            "maximum": 32,
            "minimum": 1,
            "title": "Stride",
            "type": "integer"
          },
          "filters": {
            "maximum": 1024,
            "minimum": 1,
            "title": "Filters",
            "type": "integer"
          },
          "pool": {
            "maximum": 16,
            "minimum": 1,
            "title": "Pool",
            "type": "integer"
          },
          "seed": {
            "pattern": "^[0-9a-f]{2,64}$",
            "title": "Seed",
            "type": "string"
          }
        },
        "required": [
          "height",
          "width",
          "patch",
          "stride",
          "filters",
          "pool",
          "seed"
        ],
        "title": "ImagePatchesStep",
        "type": "object"
      },
      "LinearClassifierAlgorithm": {
        "additionalProperties": false,
        "description": "One-hot least squares; the class of the largest output; metric accuracy.",
        "properties": {
          "kind": {
            "const": "linear-classifier",
            "default": "linear-classifier",
            "title": "Kind",
            "type": "string"
          },
          "l2": {
            "default": 0.001,
            "exclusiveMaximum": 1000000000000.0,
            "exclusiveMinimum": 0,
            "title": "L2",
            "type": "number"
          }
        },
        "title": "LinearClassifierAlgorithm",
        "type": "object"
      },
      "LinearRegressionAlgorithm": {
        "additionalProperties": false,
        "description": "Ridge regression: minimise |XW - Y|^2 / 2n + l2 |W|^2 / 2; metric R2.\n\nOutputs are brought to about [-1, 1] by their minimum and maximum where the schema has them.",
        "properties": {
          "kind": {
            "const": "linear-regression",
            "default": "linear-regression",
            "title": "Kind",
            "type": "string"
          },
          "l2": {
            "default": 0.001,
            "exclusiveMaximum": 1000000000000.0,
            "exclusiveMinimum": 0,
            "title": "L2",
            "type": "number"
          }
        },
        "title": "LinearRegressionAlgorithm",
        "type": "object"
      },
      "LocalSteps": {
        "additionalProperties": false,
        "description": "`steps` local gradient steps of relative rate `rate` / lambda_max(G), in one product.\n\nW_K = A W + B with A = (I - eta G)^K and B = (I - A) G^-1 C, eta = rate / lambda_max(G).",
        "properties": {
          "kind": {
            "const": "local-steps",
            "default": "local-steps",
            "title": "Kind",
            "type": "string"
          },
          "steps": {
            "maximum": 10000000,
            "minimum": 1,
            "title": "Steps",
            "type": "integer"
          },
          "rate": {
            "default": 1.0,
            "exclusiveMinimum": 0,
            "maximum": 1.0,
            "title": "Rate",
            "type": "number"
          }
        },
        "required": [
          "steps"
        ],
        "title": "LocalSteps",
        "type": "object"
      },
      "MLPClassifierAlgorithm": {
        "additionalProperties": false,
        "description": "One hidden layer with activation z^2, trained by backpropagation on ciphertexts.",
        "properties": {
          "kind": {
            "const": "mlp-classifier",
            "default": "mlp-classifier",
            "title": "Kind",
            "type": "string"
          },
          "hidden": {
            "maximum": 256,
            "minimum": 1,
            "title": "Hidden",
            "type": "integer"
          },
          "learning_rate": {
            "default": 0.02,
            "exclusiveMaximum": 1000000000000.0,
            "exclusiveMinimum": 0,
            "title": "Learning Rate",
            "type": "number"
          },
          "batch": {
            "default": 128,
            "maximum": 65536,
            "minimum": 1,
            "title": "Batch",
            "type": "integer"
          },
          "seed": {
            "default": "00",
            "pattern": "^[0-9a-f]{2,64}$",
            "title": "Seed",
            "type": "string"
          }
        },
        "required": [
          "hidden"
        ],
        "title": "MLPClassifierAlgorithm",
        "type": "object"
      },
      "PlainGradient": {
        "additionalProperties": false,
        "description": "One gradient G W - C at the current model; Capsule runs the optimizer.",
        "properties": {
          "kind": {
            "const": "gradient",
            "default": "gradient",
            "title": "Kind",
            "type": "string"
          }
        },
        "title": "PlainGradient",
        "type": "object"
      },
      "PrivacyRequest": {
        "additionalProperties": false,
        "description": "Differential privacy asked of every mine (AdaSSP, DESIGN 6.5) or of Capsule (DP-FedAvg).",
        "properties": {
          "epsilon": {
            "exclusiveMinimum": 0,
            "maximum": 1000,
            "title": "Epsilon",
            "type": "number"
          },
          "delta": {
            "exclusiveMinimum": 0,
            "maximum": 1e-05,
            "title": "Delta",
            "type": "number"
          },
          "level": {
            "default": "record",
            "enum": [
              "record",
              "client"
            ],
            "title": "Level",
            "type": "string"
          }
        },
        "required": [
          "epsilon",
          "delta"
        ],
        "title": "PrivacyRequest",
        "type": "object"
      },
      "RandomFourierStep": {
        "additionalProperties": false,
        "description": "sqrt(2 / m) cos(x Omega + b): random Fourier features of a Gaussian kernel of width gamma.",
        "properties": {
          "kind": {
            "const": "random-fourier",
            "default": "random-fourier",
            "title": "Kind",
            "type": "string"
          },
          "features": {
            "maximum": 8192,
            "minimum": 1,
            "title": "Features",
            "type": "integer"
          },
          "gamma": {
            "exclusiveMaximum": 1000000000000.0,
            "exclusiveMinimum": 0,
            "title": "Gamma",
            "type": "number"
          },
          "seed": {
            "pattern": "^[0-9a-f]{2,64}$",
            "title": "Seed",
            "type": "string"
          }
        },
        "required": [
          "features",
          "gamma",
          "seed"
        ],
        "title": "RandomFourierStep",
        "type": "object"
      },
      "RandomReLUStep": {
        "additionalProperties": false,
        "description": "max(0, x Omega + b): the fixed hidden layer of a two-layer network.\n\n`patch` restricts each unit to a random square patch of a height x width image.",
        "properties": {
          "kind": {
            "const": "random-relu",
            "default": "random-relu",
            "title": "Kind",
            "type": "string"
          },
          "features": {
            "maximum": 8192,
            "minimum": 1,
            "title": "Features",
            "type": "integer"
          },
          "seed": {
            "pattern": "^[0-9a-f]{2,64}$",
            "title": "Seed",
            "type": "string"
          },
          "patch": {
            "anyOf": [
              {
                "maximum": 512,
                "minimum": 2,
                "type": "integer"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Patch"
          },
          "height": {
            "anyOf": [
              {
                "maximum": 512,
                "minimum": 2,
                "type": "integer"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Height"
          },
          "width": {
            "anyOf": [
              {
                "maximum": 512,
                "minimum": 2,
                "type": "integer"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Width"
          }
        },
        "required": [
          "features",
          "seed"
        ],
        "title": "RandomReLUStep",
        "type": "object"
      },
      "SchemaField": {
        "additionalProperties": false,
        "description": "One column. An `array` holds numbers, its length fixed by minLength = maxLength.",
        "properties": {
          "name": {
            "maxLength": 128,
            "minLength": 1,
            "pattern": "^[A-Za-z_][\\w.\\-]*$",
            "title": "Name",
            "type": "string"
          },
          "type": {
            "enum": [
              "number",
              "integer",
              "string",
              "boolean",
              "date",
              "datetime",
              "array"
            ],
            "title": "Type",
            "type": "string"
          },
          "title": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Title"
          },
          "description": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Description"
          },
          "unit": {
            "anyOf": [
              {
                "maxLength": 64,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Unit"
          },
          "constraints": {
            "anyOf": [
              {
                "$ref": "#/$defs/FieldConstraints"
              },
              {
                "type": "null"
              }
            ],
            "default": null
          }
        },
        "required": [
          "name",
          "type"
        ],
        "title": "SchemaField",
        "type": "object"
      },
      "ScoringSettings": {
        "additionalProperties": false,
        "description": "How Capsule gathers and scores gradients.",
        "properties": {
          "window_s": {
            "default": 30.0,
            "maximum": 86400,
            "minimum": 0,
            "title": "Window S",
            "type": "number"
          },
          "batch": {
            "default": 16,
            "maximum": 64,
            "minimum": 1,
            "title": "Batch",
            "type": "integer"
          },
          "quota": {
            "default": 64,
            "maximum": 100000,
            "minimum": 1,
            "title": "Quota",
            "type": "integer"
          },
          "release_step_ppm": {
            "default": 100,
            "maximum": 100000,
            "minimum": 1,
            "title": "Release Step Ppm",
            "type": "integer"
          }
        },
        "title": "ScoringSettings",
        "type": "object"
      },
      "TableSchema": {
        "additionalProperties": false,
        "description": "The columns of a table; `id` names a published schema such as `openmined/tweets@1`.",
        "properties": {
          "id": {
            "anyOf": [
              {
                "pattern": "^[a-z0-9][a-z0-9\\-]*/[a-z0-9][a-z0-9\\-]*@[1-9]\\d*$",
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Id"
          },
          "title": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Title"
          },
          "description": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Description"
          },
          "fields": {
            "items": {
              "$ref": "#/$defs/SchemaField"
            },
            "maxItems": 4096,
            "minItems": 1,
            "title": "Fields",
            "type": "array"
          }
        },
        "required": [
          "fields"
        ],
        "title": "TableSchema",
        "type": "object"
      }
    },
    "additionalProperties": false,
    "description": "What a data scientist wants learned, from what, and how it is measured.",
    "properties": {
      "format": {
        "const": "openmined/campaign@1",
        "default": "openmined/campaign@1",
        "title": "Format",
        "type": "string"
      },
      "title": {
        "maxLength": 200,
        "minLength": 1,
        "title": "Title",
        "type": "string"
      },
      "description": {
        "default": "",
        "maxLength": 4096,
        "title": "Description",
        "type": "string"
      },
      "input": {
        "$ref": "#/$defs/TableSchema"
      },
      "output": {
        "$ref": "#/$defs/TableSchema"
      },
      "features": {
        "items": {
          "discriminator": {
            "mapping": {
              "columns": "#/$defs/ColumnsStep",
              "hashed-text": "#/$defs/HashedTextStep",
              "image-patches": "#/$defs/ImagePatchesStep",
              "random-fourier": "#/$defs/RandomFourierStep",
              "random-relu": "#/$defs/RandomReLUStep"
            },
            "propertyName": "kind"
          },
          "oneOf": [
            {
              "$ref": "#/$defs/ColumnsStep"
            },
            {
              "$ref": "#/$defs/HashedTextStep"
            },
            {
              "$ref": "#/$defs/ImagePatchesStep"
            },
            {
              "$ref": "#/$defs/RandomFourierStep"
            },
            {
              "$ref": "#/$defs/RandomReLUStep"
            }
          ]
        },
        "maxItems": 8,
        "minItems": 1,
        "title": "Features",
        "type": "array"
      },
      "algorithm": {
        "discriminator": {
          "mapping": {
            "linear-classifier": "#/$defs/LinearClassifierAlgorithm",
            "linear-regression": "#/$defs/LinearRegressionAlgorithm",
            "mlp-classifier": "#/$defs/MLPClassifierAlgorithm"
          },
          "propertyName": "kind"
        },
        "oneOf": [
          {
            "$ref": "#/$defs/LinearRegressionAlgorithm"
          },
          {
            "$ref": "#/$defs/LinearClassifierAlgorithm"
          },
          {
            "$ref": "#/$defs/MLPClassifierAlgorithm"
          }
        ],
        "title": "Algorithm"
      },
      "update": {
        "discriminator": {
          "mapping": {
            "gradient": "#/$defs/PlainGradient",
            "local-steps": "#/$defs/LocalSteps"
          },
          "propertyName": "kind"
        },
        "oneOf": [
          {
            "$ref": "#/$defs/PlainGradient"
          },
          {
            "$ref": "#/$defs/LocalSteps"
          }
        ],
        "title": "Update"
      },
      "metric": {
        "enum": [
          "accuracy",
          "r2"
        ],
        "title": "Metric",
        "type": "string"
      },
      "start_ppm": {
        "maximum": 1000000,
        "minimum": 0,
        "title": "Start Ppm",
        "type": "integer"
      },
      "target_ppm": {
        "maximum": 1000000,
        "minimum": 0,
        "title": "Target Ppm",
        "type": "integer"
      },
      "validation": {
        "$ref": "#/$defs/BlobRef"
      },
      "initial_weights": {
        "anyOf": [
          {
            "$ref": "#/$defs/BlobRef"
          },
          {
            "type": "null"
          }
        ],
        "default": null
      },
      "certificate": {
        "maxLength": 65536,
        "pattern": "^-----BEGIN PGP PUBLIC KEY",
        "title": "Certificate",
        "type": "string"
      },
      "privacy": {
        "anyOf": [
          {
            "$ref": "#/$defs/PrivacyRequest"
          },
          {
            "type": "null"
          }
        ],
        "default": null
      },
      "scoring": {
        "$ref": "#/$defs/ScoringSettings",
        "default": {
          "window_s": 30.0,
          "batch": 16,
          "quota": 64,
          "release_step_ppm": 100
        }
      }
    },
    "required": [
      "title",
      "input",
      "output",
      "features",
      "algorithm",
      "update",
      "metric",
      "start_ppm",
      "target_ppm",
      "validation",
      "certificate"
    ],
    "title": "CampaignManifest",
    "type": "object"
  },
  "keys": {
    "$defs": {
      "BlobRef": {
        "additionalProperties": false,
        "description": "A blob on the store: its UnixFS CID, size in bytes, and what it is for.",
        "properties": {
          "cid": {
            "pattern": "^b[a-z2-7]{20,120}$",
            "title": "Cid",
            "type": "string"
          },
          "size": {
            "maximum": 1099511627776,
            "minimum": 0,
            "title": "Size",
            "type": "integer"
          },
          "purpose": {
            "pattern": "^[a-z0-9][a-z0-9\\-]{0,63}$",
            "title": "Purpose",
            "type": "string"
          }
        },
        "required": [
          "cid",
          "size",
          "purpose"
        ],
        "title": "BlobRef",
        "type": "object"
      },
      "CKKSParameters": {
        "additionalProperties": false,
        "description": "A CKKS parameter set; checked against SEAL's 128-bit table where it is used.",
        "properties": {
          "scheme": {
            "const": "ckks",
            "default": "ckks",
            "title": "Scheme",
            "type": "string"
          },
          "poly_modulus_degree": {
            "enum": [
              4096,
              8192,
              16384,
              32768
            ],
            "title": "Poly Modulus Degree",
            "type": "integer"
          },
          "coeff_modulus_bits": {
            "items": {
              "maximum": 60,
              "minimum": 20,
              "type": "integer"
            },
            "maxItems": 24,
            "minItems": 2,
            "title": "Coeff Modulus Bits",
            "type": "array"
          },
          "weight_scale_bits": {
            "maximum": 100,
            "minimum": 10,
            "title": "Weight Scale Bits",
            "type": "integer"
          },
          "data_scale_bits": {
            "maximum": 60,
            "minimum": 5,
            "title": "Data Scale Bits",
            "type": "integer"
          },
          "flood_bits": {
            "default": 30,
            "maximum": 60,
            "minimum": 0,
            "title": "Flood Bits",
            "type": "integer"
          }
        },
        "required": [
          "poly_modulus_degree",
          "coeff_modulus_bits",
          "weight_scale_bits",
          "data_scale_bits"
        ],
        "title": "CKKSParameters",
        "type": "object"
      },
      "SonarRef": {
        "additionalProperties": false,
        "description": "Which contract on which chain.",
        "properties": {
          "chain_id": {
            "maximum": 9007199254740991,
            "minimum": 0,
            "title": "Chain Id",
            "type": "integer"
          },
          "sonar": {
            "pattern": "^0x[0-9a-fA-F]{40}$",
            "title": "Sonar",
            "type": "string"
          }
        },
        "required": [
          "chain_id",
          "sonar"
        ],
        "title": "SonarRef",
        "type": "object"
      }
    },
    "additionalProperties": false,
    "description": "The public keys of one campaign and one key epoch.",
    "properties": {
      "format": {
        "const": "openmined/keys@1",
        "default": "openmined/keys@1",
        "title": "Format",
        "type": "string"
      },
      "chain": {
        "$ref": "#/$defs/SonarRef"
      },
      "campaign": {
        "maximum": 9007199254740991,
        "minimum": 0,
        "title": "Campaign",
        "type": "integer"
      },
      "epoch": {
        "maximum": 9007199254740991,
        "minimum": 0,
        "title": "Epoch",
        "type": "integer"
      },
      "parameters": {
        "$ref": "#/$defs/CKKSParameters"
      },
      "blobs": {
        "items": {
          "$ref": "#/$defs/BlobRef"
        },
        "maxItems": 256,
        "minItems": 1,
        "title": "Blobs",
        "type": "array"
      },
      "certificate": {
        "maxLength": 65536,
        "pattern": "^-----BEGIN PGP PUBLIC KEY",
        "title": "Certificate",
        "type": "string"
      }
    },
    "required": [
      "chain",
      "campaign",
      "epoch",
      "parameters",
      "blobs",
      "certificate"
    ],
    "title": "KeysManifest",
    "type": "object"
  },
  "model": {
    "$defs": {
      "BlobRef": {
        "additionalProperties": false,
        "description": "A blob on the store: its UnixFS CID, size in bytes, and what it is for.",
        "properties": {
          "cid": {
            "pattern": "^b[a-z2-7]{20,120}$",
            "title": "Cid",
            "type": "string"
          },
          "size": {
            "maximum": 1099511627776,
            "minimum": 0,
            "title": "Size",
            "type": "integer"
          },
          "purpose": {
            "pattern": "^[a-z0-9][a-z0-9\\-]{0,63}$",
            "title": "Purpose",
            "type": "string"
          }
        },
        "required": [
          "cid",
          "size",
          "purpose"
        ],
        "title": "BlobRef",
        "type": "object"
      },
      "InterleavedPacking": {
        "additionalProperties": false,
        "description": "Depth-1 packing: slot = row * columns_per_ciphertext + column; `dimension` rows, padded.\n\nSlots are complex and a slot column carries two real columns of weights, one in its real part,\none in its imaginary part: `columns` counts real columns, `columns_per_ciphertext` slot columns.",
        "properties": {
          "kind": {
            "const": "interleaved",
            "default": "interleaved",
            "title": "Kind",
            "type": "string"
          },
          "rows": {
            "maximum": 8192,
            "minimum": 1,
            "title": "Rows",
            "type": "integer"
          },
          "columns": {
            "maximum": 4096,
            "minimum": 1,
            "title": "Columns",
            "type": "integer"
          },
          "dimension": {
            "maximum": 16384,
            "minimum": 1,
            "title": "Dimension",
            "type": "integer"
          },
          "columns_per_ciphertext": {
            "maximum": 16384,
            "minimum": 1,
            "title": "Columns Per Ciphertext",
            "type": "integer"
          },
          "giant_step": {
            "maximum": 16384,
            "minimum": 1,
            "title": "Giant Step",
            "type": "integer"
          }
        },
        "required": [
          "rows",
          "columns",
          "dimension",
          "columns_per_ciphertext",
          "giant_step"
        ],
        "title": "InterleavedPacking",
        "type": "object"
      },
      "MLPPacking": {
        "additionalProperties": false,
        "description": "Packing of a two-layer network; see openmined.syft's documentation of the layout.\n\n`row_length` is the length of rows, as root mean square, that gradients are protected for; it\nfollows from the campaign's features, and whoever is given another one refuses.",
        "properties": {
          "kind": {
            "const": "mlp",
            "default": "mlp",
            "title": "Kind",
            "type": "string"
          },
          "inputs": {
            "maximum": 8192,
            "minimum": 1,
            "title": "Inputs",
            "type": "integer"
          },
          "hidden": {
            "maximum": 256,
            "minimum": 1,
            "title": "Hidden",
            "type": "integer"
          },
          "outputs": {
            "maximum": 4096,
            "minimum": 1,
            "title": "Outputs",
            "type": "integer"
          },
          "block": {
            "maximum": 16384,
            "minimum": 1,
            "title": "Block",
            "type": "integer"
          },
          "row_length": {
            "exclusiveMinimum": 0,
            "maximum": 64,
            "title": "Row Length",
            "type": "number"
          }
        },
        "required": [
          "inputs",
          "hidden",
          "outputs",
          "block",
          "row_length"
        ],
        "title": "MLPPacking",
        "type": "object"
      },
      "SonarRef": {
        "additionalProperties": false,
        "description": "Which contract on which chain.",
        "properties": {
          "chain_id": {
            "maximum": 9007199254740991,
            "minimum": 0,
            "title": "Chain Id",
            "type": "integer"
          },
          "sonar": {
            "pattern": "^0x[0-9a-fA-F]{40}$",
            "title": "Sonar",
            "type": "string"
          }
        },
        "required": [
          "chain_id",
          "sonar"
        ],
        "title": "SonarRef",
        "type": "object"
      }
    },
    "additionalProperties": false,
    "description": "One encrypted version of a campaign's model.",
    "properties": {
      "format": {
        "const": "openmined/model@1",
        "default": "openmined/model@1",
        "title": "Format",
        "type": "string"
      },
      "chain": {
        "$ref": "#/$defs/SonarRef"
      },
      "campaign": {
        "maximum": 9007199254740991,
        "minimum": 0,
        "title": "Campaign",
        "type": "integer"
      },
      "version": {
        "maximum": 9007199254740991,
        "minimum": 0,
        "title": "Version",
        "type": "integer"
      },
      "epoch": {
        "maximum": 9007199254740991,
        "minimum": 0,
        "title": "Epoch",
        "type": "integer"
      },
      "parent": {
        "anyOf": [
          {
            "pattern": "^[0-9a-f]{64}$",
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "title": "Parent"
      },
      "keys": {
        "pattern": "^[0-9a-f]{64}$",
        "title": "Keys",
        "type": "string"
      },
      "packing": {
        "discriminator": {
          "mapping": {
            "interleaved": "#/$defs/InterleavedPacking",
            "mlp": "#/$defs/MLPPacking"
          },
          "propertyName": "kind"
        },
        "oneOf": [
          {
            "$ref": "#/$defs/InterleavedPacking"
          },
          {
            "$ref": "#/$defs/MLPPacking"
          }
        ],
        "title": "Packing"
      },
      "ciphertexts": {
        "items": {
          "$ref": "#/$defs/BlobRef"
        },
        "maxItems": 4096,
        "minItems": 1,
        "title": "Ciphertexts",
        "type": "array"
      }
    },
    "required": [
      "chain",
      "campaign",
      "version",
      "epoch",
      "keys",
      "packing",
      "ciphertexts"
    ],
    "title": "ModelManifest",
    "type": "object"
  },
  "gradient": {
    "$defs": {
      "BlobRef": {
        "additionalProperties": false,
        "description": "A blob on the store: its UnixFS CID, size in bytes, and what it is for.",
        "properties": {
          "cid": {
            "pattern": "^b[a-z2-7]{20,120}$",
            "title": "Cid",
            "type": "string"
          },
          "size": {
            "maximum": 1099511627776,
            "minimum": 0,
            "title": "Size",
            "type": "integer"
          },
          "purpose": {
            "pattern": "^[a-z0-9][a-z0-9\\-]{0,63}$",
            "title": "Purpose",
            "type": "string"
          }
        },
        "required": [
          "cid",
          "size",
          "purpose"
        ],
        "title": "BlobRef",
        "type": "object"
      }
    },
    "additionalProperties": false,
    "description": "What anyone sees of a gradient: an envelope sealed to Capsule.",
    "properties": {
      "format": {
        "const": "openmined/gradient@1",
        "default": "openmined/gradient@1",
        "title": "Format",
        "type": "string"
      },
      "envelope": {
        "$ref": "#/$defs/BlobRef"
      }
    },
    "required": [
      "envelope"
    ],
    "title": "GradientManifest",
    "type": "object"
  },
  "settings": {
    "$defs": {
      "ApiSettings": {
        "additionalProperties": false,
        "description": "The local API and UI.",
        "properties": {
          "enabled": {
            "default": false,
            "title": "Enabled",
            "type": "boolean"
          },
          "host": {
            "default": "127.0.0.1",
            "maxLength": 255,
            "title": "Host",
            "type": "string"
          },
          "port": {
            "default": 7337,
            "maximum": 65535,
            "minimum": 0,
            "title": "Port",
            "type": "integer"
          },
          "allowed_hosts": {
            "default": [],
            "items": {
              "maxLength": 255,
              "type": "string"
            },
            "title": "Allowed Hosts",
            "type": "array"
          },
          "session_s": {
            "default": 3600,
            "maximum": 2592000,
            "minimum": 60,
            "title": "Session S",
            "type": "integer"
          }
        },
        "title": "ApiSettings",
        "type": "object"
      },
      "DatasetPermission": {
        "additionalProperties": false,
        "description": "What campaigns may do with one dataset. Every criterion must hold.",
        "properties": {
          "mode": {
            "default": "deny",
            "enum": [
              "deny",
              "ask",
              "automatic"
            ],
            "title": "Mode",
            "type": "string"
          },
          "fields": {
            "default": [],
            "items": {
              "maxLength": 128,
              "type": "string"
            },
            "title": "Fields",
            "type": "array"
          },
          "min_bounty_wei": {
            "default": 0,
            "ge": 0,
            "le": 340282366920938463463374607431768211455,
            "title": "Min Bounty Wei",
            "type": "integer"
          },
          "max_bond_wei": {
            "default": 100000000000000000,
            "ge": 0,
            "le": 340282366920938463463374607431768211455,
            "title": "Max Bond Wei",
            "type": "integer"
          },
          "tokens": {
            "default": [],
            "items": {
              "pattern": "^0x[0-9a-fA-F]{40}$",
              "type": "string"
            },
            "title": "Tokens",
            "type": "array"
          },
          "data_scientists": {
            "default": [],
            "items": {
              "pattern": "^0x[0-9a-fA-F]{40}$",
              "type": "string"
            },
            "title": "Data Scientists",
            "type": "array"
          },
          "denied_data_scientists": {
            "default": [],
            "items": {
              "pattern": "^0x[0-9a-fA-F]{40}$",
              "type": "string"
            },
            "title": "Denied Data Scientists",
            "type": "array"
          },
          "capsules": {
            "default": [],
            "items": {
              "pattern": "^0x[0-9a-fA-F]{40}$",
              "type": "string"
            },
            "title": "Capsules",
            "type": "array"
          },
          "denied_capsules": {
            "default": [],
            "items": {
              "pattern": "^0x[0-9a-fA-F]{40}$",
              "type": "string"
            },
            "title": "Denied Capsules",
            "type": "array"
          },
          "max_rounds": {
            "default": 16,
            "maximum": 100000,
            "minimum": 1,
            "title": "Max Rounds",
            "type": "integer"
          },
          "epsilon_budget": {
            "anyOf": [
              {
                "exclusiveMinimum": 0,
                "maximum": 1000,
                "type": "number"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Epsilon Budget"
          },
          "hours": {
            "default": [],
            "items": {
              "type": "string"
            },
            "title": "Hours",
            "type": "array"
          },
          "timezone": {
            "default": "UTC",
            "maxLength": 64,
            "title": "Timezone",
            "type": "string"
          },
          "cpu_share": {
            "default": 1.0,
            "exclusiveMinimum": 0,
            "maximum": 1,
            "title": "Cpu Share",
            "type": "number"
          }
        },
        "title": "DatasetPermission",
        "type": "object"
      },
      "LimitSettings": {
        "additionalProperties": false,
        "description": "What training may take of the machine.",
        "properties": {
          "memory_mb": {
            "default": 2048,
            "maximum": 1048576,
            "minimum": 128,
            "title": "Memory Mb",
            "type": "integer"
          },
          "seconds": {
            "default": 900,
            "maximum": 86400,
            "minimum": 1,
            "title": "Seconds",
            "type": "integer"
          },
          "download_mb": {
            "default": 512,
            "maximum": 16384,
            "minimum": 1,
            "title": "Download Mb",
            "type": "integer"
          }
        },
        "title": "LimitSettings",
        "type": "object"
      },
      "LoopSettings": {
        "additionalProperties": false,
        "description": "How the mine polls and how long it keeps trying.",
        "properties": {
          "poll_interval_s": {
            "default": 5.0,
            "maximum": 3600,
            "minimum": 0.02,
            "title": "Poll Interval S",
            "type": "number"
          },
          "patience": {
            "default": 8,
            "maximum": 1000,
            "minimum": 1,
            "title": "Patience",
            "type": "integer"
          },
          "retry_s": {
            "default": 30.0,
            "maximum": 86400,
            "minimum": 0.02,
            "title": "Retry S",
            "type": "number"
          },
          "max_fee_gwei": {
            "default": 200.0,
            "exclusiveMinimum": 0,
            "maximum": 1000000.0,
            "title": "Max Fee Gwei",
            "type": "number"
          }
        },
        "title": "LoopSettings",
        "type": "object"
      },
      "NetworkSettings": {
        "additionalProperties": false,
        "description": "Which chain, contract and store.",
        "properties": {
          "name": {
            "default": "devnet",
            "maxLength": 64,
            "title": "Name",
            "type": "string"
          },
          "chain_id": {
            "maximum": 9007199254740991,
            "minimum": 0,
            "title": "Chain Id",
            "type": "integer"
          },
          "rpc_url": {
            "maxLength": 2048,
            "pattern": "^https?://[^\\s@]+$",
            "title": "Rpc Url",
            "type": "string"
          },
          "sonar": {
            "pattern": "^0x[0-9a-fA-F]{40}$",
            "title": "Sonar",
            "type": "string"
          },
          "store_url": {
            "maxLength": 2048,
            "pattern": "^https?://[^\\s@]+$",
            "title": "Store Url",
            "type": "string"
          },
          "gateway_url": {
            "anyOf": [
              {
                "maxLength": 2048,
                "pattern": "^https?://[^\\s@]+$",
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Gateway Url"
          },
          "from_block": {
            "default": 0,
            "maximum": 9007199254740991,
            "minimum": 0,
            "title": "From Block",
            "type": "integer"
          }
        },
        "required": [
          "chain_id",
          "rpc_url",
          "sonar",
          "store_url"
        ],
        "title": "NetworkSettings",
        "type": "object"
      },
      "ReportingSettings": {
        "additionalProperties": false,
        "description": "What the owner allows to be told to a statistics service: counts, never rows. Off.",
        "properties": {
          "enabled": {
            "default": false,
            "title": "Enabled",
            "type": "boolean"
          },
          "url": {
            "anyOf": [
              {
                "maxLength": 2048,
                "pattern": "^https?://[^\\s@]+$",
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Url"
          },
          "interval_s": {
            "default": 3600.0,
            "maximum": 2592000,
            "minimum": 1,
            "title": "Interval S",
            "type": "number"
          }
        },
        "title": "ReportingSettings",
        "type": "object"
      },
      "TrainingSettings": {
        "additionalProperties": false,
        "description": "Where training is done. Only this file says so: it names who sees rows.",
        "properties": {
          "executor": {
            "default": "here",
            "pattern": "^(here|ray(:[^\\s:]\\S{0,254})?)$",
            "title": "Executor",
            "type": "string"
          }
        },
        "title": "TrainingSettings",
        "type": "object"
      }
    },
    "additionalProperties": false,
    "description": "Everything in mine.toml.",
    "properties": {
      "format": {
        "const": "openmined/mine@1",
        "default": "openmined/mine@1",
        "title": "Format",
        "type": "string"
      },
      "name": {
        "default": "mine",
        "maxLength": 64,
        "minLength": 1,
        "title": "Name",
        "type": "string"
      },
      "network": {
        "$ref": "#/$defs/NetworkSettings"
      },
      "loop": {
        "$ref": "#/$defs/LoopSettings",
        "default": {
          "poll_interval_s": 5.0,
          "patience": 8,
          "retry_s": 30.0,
          "max_fee_gwei": 200.0
        }
      },
      "limits": {
        "$ref": "#/$defs/LimitSettings",
        "default": {
          "memory_mb": 2048,
          "seconds": 900,
          "download_mb": 512
        }
      },
      "training": {
        "$ref": "#/$defs/TrainingSettings",
        "default": {
          "executor": "here"
        }
      },
      "api": {
        "$ref": "#/$defs/ApiSettings",
        "default": {
          "enabled": false,
          "host": "127.0.0.1",
          "port": 7337,
          "allowed_hosts": [],
          "session_s": 3600
        }
      },
      "reporting": {
        "$ref": "#/$defs/ReportingSettings",
        "default": {
          "enabled": false,
          "url": null,
          "interval_s": 3600.0
        }
      },
      "permissions": {
        "patternProperties": {
          "^[a-z0-9][a-z0-9\\-]{0,63}$": {
            "$ref": "#/$defs/DatasetPermission"
          }
        },
        "title": "Permissions",
        "type": "object"
      }
    },
    "required": [
      "network"
    ],
    "title": "MineSettings",
    "type": "object"
  },
  "network": {
    "additionalProperties": false,
    "description": "Which chain, contract and store.",
    "properties": {
      "name": {
        "default": "devnet",
        "maxLength": 64,
        "title": "Name",
        "type": "string"
      },
      "chain_id": {
        "maximum": 9007199254740991,
        "minimum": 0,
        "title": "Chain Id",
        "type": "integer"
      },
      "rpc_url": {
        "maxLength": 2048,
        "pattern": "^https?://[^\\s@]+$",
        "title": "Rpc Url",
        "type": "string"
      },
      "sonar": {
        "pattern": "^0x[0-9a-fA-F]{40}$",
        "title": "Sonar",
        "type": "string"
      },
      "store_url": {
        "maxLength": 2048,
        "pattern": "^https?://[^\\s@]+$",
        "title": "Store Url",
        "type": "string"
      },
      "gateway_url": {
        "anyOf": [
          {
            "maxLength": 2048,
            "pattern": "^https?://[^\\s@]+$",
            "type": "string"
          },
          {
            "type": "null"
          }
        ],
        "default": null,
        "title": "Gateway Url"
      },
      "from_block": {
        "default": 0,
        "maximum": 9007199254740991,
        "minimum": 0,
        "title": "From Block",
        "type": "integer"
      }
    },
    "required": [
      "chain_id",
      "rpc_url",
      "sonar",
      "store_url"
    ],
    "title": "NetworkSettings",
    "type": "object"
  },
  "dataset": {
    "$defs": {
      "DatasetPart": {
        "additionalProperties": false,
        "description": "One import's rows.",
        "properties": {
          "file": {
            "pattern": "^part-\\d{4,8}\\.arrow\\.age$",
            "title": "File",
            "type": "string"
          },
          "rows": {
            "minimum": 1,
            "title": "Rows",
            "type": "integer"
          },
          "bytes": {
            "minimum": 1,
            "title": "Bytes",
            "type": "integer"
          },
          "sha256": {
            "pattern": "^[0-9a-f]{64}$",
            "title": "Sha256",
            "type": "string"
          },
          "imported": {
            "title": "Imported",
            "type": "string"
          }
        },
        "required": [
          "file",
          "rows",
          "bytes",
          "sha256",
          "imported"
        ],
        "title": "DatasetPart",
        "type": "object"
      },
      "FieldConstraints": {
        "additionalProperties": false,
        "description": "What a value must satisfy; `enum` lists the classes of a label in their order.",
        "properties": {
          "required": {
            "anyOf": [
              {
                "type": "boolean"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Required"
          },
          "enum": {
            "anyOf": [
              {
                "items": {
                  "type": "string"
                },
                "maxItems": 4096,
                "minItems": 2,
                "type": "array"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Enum"
          },
          "minimum": {
            "anyOf": [
              {
                "type": "number"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Minimum"
          },
          "maximum": {
            "anyOf": [
              {
                "type": "number"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Maximum"
          },
          "minLength": {
            "anyOf": [
              {
                "maximum": 1048576,
                "minimum": 0,
                "type": "integer"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Minlength"
          },
          "maxLength": {
            "anyOf": [
              {
                "maximum": 1048576,
                "minimum": 0,
                "type": "integer"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Maxlength"
          }
        },
        "title": "FieldConstraints",
        "type": "object"
      },
      "SchemaField": {
        "additionalProperties": false,
        "description": "One column. An `array` holds numbers, its length fixed by minLength = maxLength.",
        "properties": {
          "name": {
            "maxLength": 128,
            "minLength": 1,
            "pattern": "^[A-Za-z_][\\w.\\-]*$",
            "title": "Name",
            "type": "string"
          },
          "type": {
            "enum": [
              "number",
              "integer",
              "string",
              "boolean",
              "date",
              "datetime",
              "array"
            ],
            "title": "Type",
            "type": "string"
          },
          "title": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Title"
          },
          "description": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Description"
          },
          "unit": {
            "anyOf": [
              {
                "maxLength": 64,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Unit"
          },
          "constraints": {
            "anyOf": [
              {
                "$ref": "#/$defs/FieldConstraints"
              },
              {
                "type": "null"
              }
            ],
            "default": null
          }
        },
        "required": [
          "name",
          "type"
        ],
        "title": "SchemaField",
        "type": "object"
      },
      "TableSchema": {
        "additionalProperties": false,
        "description": "The columns of a table; `id` names a published schema such as `openmined/tweets@1`.",
        "properties": {
          "id": {
            "anyOf": [
              {
                "pattern": "^[a-z0-9][a-z0-9\\-]*/[a-z0-9][a-z0-9\\-]*@[1-9]\\d*$",
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Id"
          },
          "title": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Title"
          },
          "description": {
            "anyOf": [
              {
                "maxLength": 4096,
                "type": "string"
              },
              {
                "type": "null"
              }
            ],
            "default": null,
            "title": "Description"
          },
          "fields": {
            "items": {
              "$ref": "#/$defs/SchemaField"
            },
            "maxItems": 4096,
            "minItems": 1,
            "title": "Fields",
            "type": "array"
          }
        },
        "required": [
          "fields"
        ],
        "title": "TableSchema",
        "type": "object"
      }
    },
    "additionalProperties": false,
    "description": "What dataset.json says: no row, no value.",
    "properties": {
      "format": {
        "const": "openmined/dataset@1",
        "default": "openmined/dataset@1",
        "title": "Format",
        "type": "string"
      },
      "name": {
        "pattern": "^[a-z0-9][a-z0-9\\-]{0,63}$",
        "title": "Name",
        "type": "string"
      },
      "schema": {
        "$ref": "#/$defs/TableSchema"
      },
      "identity": {
        "default": [],
        "items": {
          "type": "string"
        },
        "title": "Identity",
        "type": "array"
      },
      "parts": {
        "default": [],
        "items": {
          "$ref": "#/$defs/DatasetPart"
        },
        "title": "Parts",
        "type": "array"
      }
    },
    "required": [
      "name",
      "schema"
    ],
    "title": "Dataset",
    "type": "object"
  }
};
