"""Updates from streams of rows, and the command line over files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import pytest
from typer.testing import CliRunner

import openmined.syft as syft
from openmined.protocol import (
    BlobRef,
    CampaignManifest,
    ColumnsStep,
    FieldConstraints,
    KeysManifest,
    LinearClassifierAlgorithm,
    ModelManifest,
    PlainGradient,
    PrivacyRequest,
    SchemaField,
    SonarRef,
    TableSchema,
    UnknownFormat,
    decode_gradient_body,
    decode_manifest,
    encode_manifest,
    manifest_digest,
)
from openmined.syft import DataError, EncryptedGradient, draw_rows

SONAR = SonarRef(chain_id=31337, sonar="0x" + "ab" * 20)
MINER = "0x" + "cd" * 20
CERTIFICATE = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def test_drawn_rows_are_uniform_and_stay_paired():
    X = np.arange(60.0).reshape(60, 1)
    counts = np.zeros(60)
    for _ in range(300):
        rows, targets = draw_rows(((X[i : i + 7], 2 * X[i : i + 7]) for i in range(0, 60, 7)), 20)
        assert len(set(rows[:, 0])) == 20
        np.testing.assert_array_equal(targets, 2 * rows)
        counts[rows[:, 0].astype(int)] += 1
    assert 60 < counts.min() <= counts.max() < 145  # 100 expected, deviation 8.2


def test_fewer_rows_than_wanted_are_all_drawn():
    rows, _ = draw_rows([(np.ones((3, 2)), np.zeros((3, 1)))], 10)
    assert rows.shape == (3, 2)


@pytest.mark.parametrize(
    "batches",
    [
        [],
        [(np.zeros((0, 2)), np.zeros((0, 1)))],
        [(np.zeros((3, 2)), np.zeros((2, 1)))],
        [(np.zeros((3, 2)), np.zeros((3, 1))), (np.zeros((3, 1)), np.zeros((3, 1)))],
    ],
)
def test_bad_batches_are_refused(batches):
    with pytest.raises(DataError):
        draw_rows(batches, 5)


@pytest.fixture(scope="module")
def campaign():
    label = SchemaField(name="y", type="string", constraints=FieldConstraints(enum=("no", "yes")))
    return CampaignManifest(
        title="t",
        input=TableSchema(
            fields=(SchemaField(name="a", type="number"), SchemaField(name="b", type="number"))
        ),
        output=TableSchema(fields=(label,)),
        features=(ColumnsStep(columns=("a", "b")),),
        algorithm=LinearClassifierAlgorithm(l2=0.01),
        update=PlainGradient(),
        metric="accuracy",
        start_ppm=0,
        target_ppm=900_000,
        validation=BlobRef(cid="b" + "a" * 58, size=1, purpose="validation"),
        certificate=CERTIFICATE,
    )


@pytest.fixture
def files(tmp_path, campaign):
    """Write manifests and blobs as a store would give them; return (folder, spec, keys)."""
    spec = syft.spec_from_manifest(campaign)
    keys = syft.generate_keys(syft.choose_parameters(spec), spec)
    model = syft.encrypt_model(np.full((3, 2), 0.1), keys)
    count = iter(range(100))

    def put(data, purpose):
        ref = BlobRef(cid=f"b{'a' * 30}{'abcdefgh'[next(count)]}", size=len(data), purpose=purpose)
        (tmp_path / ref.cid).write_bytes(data)
        return ref

    blobs = tuple(put(data, name) for name, data in keys.public.to_blobs().items())
    keys_manifest = KeysManifest(
        chain=SONAR,
        campaign=7,
        epoch=0,
        parameters=keys.parameters,
        blobs=blobs,
        certificate=CERTIFICATE,
    )
    model_manifest = ModelManifest(
        chain=SONAR,
        campaign=7,
        version=3,
        epoch=0,
        keys=manifest_digest(keys_manifest).hex(),
        packing=model.packing,
        ciphertexts=tuple(put(data, "weights") for data in model.to_blobs()),
    )
    for name, manifest in (
        ("campaign", campaign),
        ("keys", keys_manifest),
        ("model", model_manifest),
    ):
        (tmp_path / f"{name}.json").write_bytes(encode_manifest(manifest))
    return tmp_path, spec, keys


TABLE = pa.table({"a": [0.1, -0.4, 0.7], "b": [1.0, 0.5, -0.2], "y": ["no", "yes", "no"]})


def write_rows(folder, kind):
    path = folder / f"rows.{kind}"
    if kind == "csv":
        pa_csv.write_csv(TABLE, path)
    elif kind == "parquet":
        pa_parquet.write_table(TABLE, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, TABLE.schema) as writer:
            writer.write_table(TABLE)
    return path


def run_train(folder, rows, out, *more):
    names = [str(folder / f"{name}.json") for name in ("campaign", "keys", "model")]
    arguments = ["train", *names, str(rows), "--blobs", str(folder), "--out", str(out)]
    return CliRunner().invoke(syft.app, [*arguments, "--miner", MINER, *more])


@pytest.mark.parametrize(
    ("kind", "executor"), [("arrow", "here"), ("parquet", "processes:2"), ("csv", "here")]
)
def test_train_command(files, bits, kind, executor):
    folder, spec, keys = files
    rows = write_rows(folder, kind)
    done = run_train(folder, rows, folder / "gradient.cbor", "--executor", executor)
    assert done.exit_code == 0, done.output
    body = decode_gradient_body((folder / "gradient.cbor").read_bytes())
    assert (body.campaign, body.version, body.samples, body.miner) == (7, 3, 3, MINER)
    assert body.kind == "gradient"
    gradient = EncryptedGradient.from_blobs(keys.packing, body.ciphertexts, keys.parameters)
    Z = spec.features.transform(TABLE)
    Y = syft.encode_targets(spec, TABLE["y"])
    statistics = syft.accumulate_statistics([(Z, Y)])
    wanted = syft.apply_update(np.full((3, 2), 0.1), statistics, PlainGradient(), spec.l2)
    assert bits(syft.decrypt_update(gradient, keys), wanted) >= 12
    last = json.loads(done.stderr.strip().splitlines()[-1])
    assert last["done"] == last["of"]


def test_train_command_names_bad_files(files):
    folder, _, _ = files
    for rows, text in ((folder / "rows.xls", "give an .arrow"), (folder / "none.csv", "none.csv")):
        rows.touch() if rows.suffix == ".xls" else None
        done = run_train(folder, rows, folder / "out")
        assert isinstance(done.exception, DataError)
        assert text in str(done.exception)
    blob = next(path for path in folder.iterdir() if path.name.startswith("baaa"))
    blob.write_bytes(blob.read_bytes()[:-1])
    done = run_train(folder, write_rows(folder, "csv"), folder / "out")
    assert isinstance(done.exception, DataError)
    assert blob.name in str(done.exception)


def test_train_command_names_bad_arguments_before_it_works(files):
    folder, _, _ = files
    rows = write_rows(folder, "csv")
    bad = [
        (["--miner", "0x12"], DataError, "no address"),
        (["--out", str(folder / "none" / "out")], DataError, "a folder that is there"),
        (["--blobs", str(folder / "none")], DataError, "fetch what the manifests list"),
        (["--executor", "gpu"], syft.SpecError, "use here, processes:4"),
    ]
    for more, kind, text in bad:
        done = run_train(folder, rows, folder / "out", *more)
        assert isinstance(done.exception, kind), done.exception
        assert text in str(done.exception)
    assert not (folder / "out").exists()


def test_train_command_tells_manifests_apart(files):
    folder, _, _ = files
    rows = write_rows(folder, "csv")
    keys = folder / "keys.json"
    original = keys.read_bytes()
    other = decode_manifest(original, KeysManifest).model_copy(update={"campaign": 8})
    keys.write_bytes(encode_manifest(other))
    done = run_train(folder, rows, folder / "out")
    assert isinstance(done.exception, syft.KeyMismatch)
    assert "give the keys that the model names" in str(done.exception)
    keys.write_bytes((folder / "model.json").read_bytes())
    done = run_train(folder, rows, folder / "out")
    assert isinstance(done.exception, UnknownFormat)
    assert str(keys) in str(done.exception)
    keys.write_bytes(original[:-1])
    assert str(keys) in str(run_train(folder, rows, folder / "out").exception)


def test_train_command_answers_no_private_campaign_exactly(files, campaign):
    folder, _, _ = files
    request = PrivacyRequest(epsilon=1.0, delta=1e-6)
    private = campaign.model_copy(update={"privacy": request})
    (folder / "campaign.json").write_bytes(encode_manifest(private))
    done = run_train(folder, write_rows(folder, "csv"), folder / "out")
    assert isinstance(done.exception, syft.SpecError)
    assert "epsilon 1 of privacy" in str(done.exception)
    assert not (folder / "out").exists()


ROWS_THAT_DO_NOT_FIT = {
    "lacks 1 values": {"a": [0.1, float("nan"), 0.3]},
    "no column 'b'": {"b": None},
    "'maybe' is none of the classes no, yes": {"y": ["no", "yes", "maybe"]},
    "holds values that are no numbers": {"a": ["x", "y", "z"]},
    "inf in row 1, column 0": {"a": [0.1, float("inf"), 0.3]},
    "there are no rows": {"a": [], "b": [], "y": []},
}


@pytest.mark.parametrize("text", ROWS_THAT_DO_NOT_FIT)
def test_train_command_names_bad_rows(files, text):
    folder, _, _ = files
    columns = TABLE.to_pydict() | ROWS_THAT_DO_NOT_FIT[text]
    rows = folder / "rows.csv"
    pa_csv.write_csv(pa.table({name: of for name, of in columns.items() if of is not None}), rows)
    done = run_train(folder, rows, folder / "out")
    assert isinstance(done.exception, DataError)
    assert text in str(done.exception)


def test_plan_command(files):
    folder, _, _ = files
    done = CliRunner().invoke(syft.app, ["plan", str(folder / "campaign.json")])
    assert done.exit_code == 0
    assert "3 x 2" in done.output
    assert "8192" in done.output


def test_the_command_line_is_imported_when_asked_for():
    assert "app" in syft.__all__
    with pytest.raises(AttributeError, match="nothing"):
        _ = syft.nothing
