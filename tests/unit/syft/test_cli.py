"""The command line over files: what it answers, and what it refuses by name."""

import json
import os
import signal
import time
from contextlib import suppress

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
    ManifestError,
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
from openmined.syft import DataError, EncryptedGradient, _cli
from openmined.syft._cli import read_batches

SONAR = SonarRef(chain_id=31337, sonar="0x" + "ab" * 20)
MINER = "0x" + "cd" * 20
CERTIFICATE = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


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
def test_train_command(files, bits, capfd, kind, executor):
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
    last = json.loads(capfd.readouterr().err.strip().splitlines()[-1])
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
    "column 'a' is of type string": {"a": ["x", "y", "z"]},
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


def rewrite(folder, name, kind, **changes):
    """Change a manifest; a model's names the keys beside it, as they are now."""
    path = folder / f"{name}.json"
    manifest = decode_manifest(path.read_bytes(), kind).model_copy(update=changes)
    path.write_bytes(encode_manifest(manifest))
    if name == "keys":
        rewrite(folder, "model", ModelManifest, keys=manifest_digest(manifest).hex())


def refused(folder, kind, text, rows=None, *more):
    rows = write_rows(folder, "csv") if rows is None else rows
    done = run_train(folder, rows, folder / "out", *more)
    assert isinstance(done.exception, kind), done.exception
    assert text in str(done.exception)
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"campaign": 999}, "the keys are of campaign 7, the model is of campaign 999"),
        ({"epoch": 1}, "the keys are of key epoch 0, the model is of key epoch 1"),
        (
            {"chain": SonarRef(chain_id=1, sonar=SONAR.sonar)},
            "the keys are of chain 31337, the model is of chain 1",
        ),
        (
            {"chain": SonarRef(chain_id=31337, sonar="0x" + "ac" * 20)},
            f"the keys are of contract {SONAR.sonar}, the model is of contract 0x{'ac' * 20}",
        ),
    ],
)
def test_train_command_wants_keys_and_model_of_one_campaign(files, change, text):
    folder, _, _ = files
    rewrite(folder, "model", ModelManifest, **change)
    refused(folder, syft.KeyMismatch, text)


def test_train_command_does_not_mind_how_an_address_is_written(files):
    folder, _, _ = files
    upper = SonarRef(chain_id=31337, sonar="0x" + "AB" * 20)
    rewrite(folder, "model", ModelManifest, chain=upper)
    assert run_train(folder, write_rows(folder, "csv"), folder / "out").exit_code == 0


def test_train_command_refuses_keys_that_would_not_hide_rows(files):
    folder, _, keys = files
    weak = keys.parameters.model_copy(update={"flood_bits": 0})
    rewrite(folder, "keys", KeysManifest, parameters=weak)
    refused(folder, syft.ParameterError, "0 bits of protecting noise, 30 are the least")


def test_train_command_refuses_another_campaign_s_model(files, campaign):
    folder, _, _ = files
    wider = campaign.model_copy(update={"features": (ColumnsStep(columns=("a",)),)})
    (folder / "campaign.json").write_bytes(encode_manifest(wider))
    refused(folder, syft.SyftError, "2")


def hoard(*_):
    held = []
    while True:
        held.append(bytearray(1 << 24))


def crash(*_, **__):
    os.kill(os.getpid(), signal.SIGSEGV)


def linger(*_):
    time.sleep(60)


ATTACKS = {
    "memory": (hoard, syft.OutOfMemory, "--memory-mb and --seconds"),
    "a crash": (crash, syft.LimitError, "status -11"),
    "time": (linger, syft.OutOfTime, "--memory-mb and --seconds"),
}


@pytest.mark.parametrize("executor", ["here", "processes:2", "ray"])
@pytest.mark.parametrize("state", [syft.PublicKeys, syft.EncryptedModel])
@pytest.mark.parametrize("attack", ATTACKS)
def test_train_command_opens_blobs_within_limits(files, monkeypatch, attack, state, executor):
    """As if SEAL were made to do it by the bytes: it is a child's affair, on Ray too."""
    attacked, kind, text = ATTACKS[attack]
    monkeypatch.setattr(state, "from_blobs", attacked)
    seconds = "0.5" if attack == "time" else "60"
    limits = ("--memory-mb", "400", "--seconds", seconds)
    refused(files[0], kind, text, None, *limits, "--executor", executor)


def test_train_command_trains_within_limits(files, monkeypatch):
    monkeypatch.setattr(_cli, "train_update", crash)
    refused(files[0], syft.LimitError, "status -11")


@pytest.mark.parametrize(
    ("more", "kind", "text"),
    [
        (["--seconds", "0.001"], syft.OutOfTime, "--memory-mb and --seconds"),
        (["--memory-mb", "9" * 30], syft.LimitError, "is no limit"),
    ],
)
def test_train_command_has_limits(files, more, kind, text):
    refused(files[0], kind, text, None, *more)


def test_rows_in_an_arrow_file_are_not_counted_as_memory(files):
    folder, _, _ = files
    rows = folder / "rows.arrow"
    many = pa.table({"a": [0.5] * 4096, "b": [0.1] * 4096, "y": ["no"] * 4096})
    unused = pa.array(["x" * 100_000] * 4096)
    with pa.OSFile(str(rows), "wb") as sink:
        wide = many.append_column("unused", unused)
        with pa.ipc.new_file(sink, wide.schema) as writer:
            writer.write_table(wide)
    assert rows.stat().st_size > 400e6
    done = run_train(folder, rows, folder / "out", "--memory-mb", "300")
    assert done.exit_code == 0, done.exception


def test_train_command_reads_no_manifest_without_end(files):
    folder, _, _ = files
    (folder / "keys.json").unlink()
    (folder / "keys.json").symlink_to("/dev/zero")
    refused(folder, ManifestError, "too many")


def test_train_command_names_columns_that_are_there_twice(files):
    folder, _, _ = files
    rows = folder / "twice.csv"
    rows.write_text("a,a,b,y\n1,2,3,no\n")
    refused(folder, DataError, "2 columns are named 'a'", rows)
    twice = pa.table([[1.0], [2.0], ["no"], ["yes"]], names=["a", "b", "y", "y"])
    pa_parquet.write_table(twice, folder / "twice.parquet")
    refused(folder, DataError, "2 columns are named 'y'", folder / "twice.parquet")
    rows.write_text("a,n,b,n,y\n1,2,3,4,no\n")  # nobody asks for these
    assert run_train(folder, rows, folder / "out").exit_code == 0


def test_train_command_names_columns_of_another_kind(files):
    folder, _, _ = files
    nested = pa.table({"a": [1.0], "b": [{"q": 1}], "y": ["no"]})
    rows = folder / "nested.parquet"
    pa_parquet.write_table(nested, rows)
    refused(folder, DataError, "'b'", rows)
    spare = TABLE.append_column("spare", pa.array([{"q": 1}] * 3))
    pa_parquet.write_table(spare, rows)
    assert run_train(folder, rows, folder / "out").exit_code == 0


def test_train_command_refuses_damaged_rows(files):
    folder, _, _ = files
    rows = folder / "bad.csv"
    rows.write_bytes(b"\xff\xfea,b,y\n1,2,no\n")
    refused(folder, DataError, f"cannot read rows from {rows}", rows)
    pa_parquet.write_table(TABLE.select([]), folder / "none.parquet")
    refused(folder, DataError, "", folder / "none.parquet")
    whole = write_rows(folder, "arrow").read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(300):
        data = np.frombuffer(whole, np.uint8).copy()
        data[generator.integers(len(data), size=3)] = generator.integers(256, size=3)
        (folder / "bad.arrow").write_bytes(data)
        with suppress(DataError):
            for batch in read_batches(folder / "bad.arrow"):
                batch.to_pydict()
