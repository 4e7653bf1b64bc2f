"""Speed, size and learning of encrypted training, beside its rivals on the same machine.

    python benchmarks/syft_bench.py                     everything but learning
    python benchmarks/syft_bench.py --only product      one part (see PARTS)
    python benchmarks/syft_bench.py --only digits       minutes: so are mnist and sorted

Prints one table and puts its rows into benchmarks/results.json: {name, seconds, rival,
rival_seconds, ratio, peak_mb, bytes_down, bytes_up, bits, operations}. Rivals run in the same
process order on the same machine. `phe` (the 2018 Syft's Paillier) is measured if it is installed;
it is under the GPL, so nothing here depends on it.
"""

import argparse
import functools
import gzip
import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from openmined.protocol import (
    ColumnsStep,
    LocalSteps,
    PlainGradient,
    RandomReLUStep,
)
from openmined.syft import (
    Adam,
    Anderson,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    UpdateCache,
    accumulate_statistics,
    apply_update,
    array_features,
    build_features,
    choose_parameters,
    compute_mlp_update,
    compute_update,
    decrypt_update,
    encrypt_model,
    evaluate,
    generate_keys,
    initial_weights,
    mlp_gradient,
    privatise_statistics,
    stream_statistics,
)
from openmined.syft._estimators import solve_clear
from openmined.syft._mlp_machine import Machine

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "shared" / "data" / "mnist"
DIGITS = tuple("0123456789")


def timed(function, repeat=3):
    """Return the best wall time of a few runs, and the last result."""
    best, result = float("inf"), None
    for _ in range(repeat):
        clock = Clock()
        result = function()
        best = min(best, clock.times()["seconds"])
    return best, result


def rival(name, function, times=1, repeat=1):
    """Measure a rival: best wall and processor time, multiplied where one part stands for many."""
    walls, processors = [], []
    for _ in range(repeat):
        clock = Clock()
        function()
        found = clock.times()
        walls.append(found["seconds"])
        processors.append(found["cpu_seconds"])
    return {
        "rival": name,
        "rival_seconds": times * min(walls),
        "rival_cpu_seconds": round(times * min(processors), 4),
    }


class Clock:
    """Wall and processor time since it was made: on a busy machine they differ."""

    def __init__(self):
        self._start = time.perf_counter(), time.process_time()

    def times(self):
        wall, processor = self._start
        return {
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": round(time.process_time() - processor, 5),
        }


def bits_of(found, wanted):
    return float(np.log2(np.abs(wanted).max() / np.abs(found - wanted).max()))


KEYS = (
    "name",
    "seconds",
    "rival",
    "rival_seconds",
    "ratio",
    "peak_mb",
    "bytes_down",
    "bytes_up",
    "bits",
    "operations",
)


def row(name, seconds, **more):
    """Make a row with all of KEYS, null where there is none; memory is the peak since the last."""
    found = dict.fromkeys(KEYS) | {"name": name, "seconds": round(seconds, 4), **more}
    found["peak_mb"] = peak_mb()
    if found["rival_seconds"] is not None:
        found["ratio"] = round(found["rival_seconds"] / seconds, 2)
        found["rival_seconds"] = round(found["rival_seconds"], 4)
    if "rival_cpu_seconds" in found and found.get("cpu_seconds"):
        # On a machine shared with others only this one means something.
        found["cpu_ratio"] = round(found["rival_cpu_seconds"] / found["cpu_seconds"], 2)
    return found


def peak_mb():
    """Return this process's largest resident size since the last call, and forget it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    return round(int(status["VmHWM"].split()[0]) / 1024)


def random_rows(n, inputs, outputs, seed=0):
    generator = np.random.default_rng(seed)
    X = np.hstack([generator.standard_normal((n, inputs - 1)), np.ones((n, 1))])
    return X, np.eye(outputs)[generator.integers(0, outputs, n)]


def linear_task(inputs, outputs, n=1000, update=None, few_rows=False):
    spec = LinearRegression(inputs=inputs, outputs=outputs, update=update or PlainGradient())
    keys = generate_keys(choose_parameters(spec, few_rows), spec)
    X, Y = random_rows(n, inputs, max(outputs, 2))
    W = 0.05 * np.random.default_rng(1).standard_normal((inputs, outputs))
    return spec, keys, accumulate_statistics([(X, Y[:, :outputs])]), W


def measure_linear(name, task, against=None, cache=None, processes=1, repeat=3):
    spec, keys, statistics, W = task
    model = encrypt_model(W, keys)
    _ = model.ciphertexts, keys.public.check()

    def update():
        return compute_update(
            model, keys.public, statistics, spec.update, spec.l2, processes=processes, cache=cache
        )

    if cache is not None:
        update()
    clock = Clock()
    seconds, gradient = timed(update, repeat)
    cpu_seconds = round(clock.times()["cpu_seconds"] / repeat, 3)
    wanted = apply_update(W, statistics, spec.update, spec.l2)
    sizes = {
        "bytes_down": sum(map(len, model.to_blobs())),
        "bytes_keys": sum(map(len, keys.public.to_blobs().values())),
        "bytes_up": sum(map(len, gradient.to_blobs())),
        "bits": round(bits_of(decrypt_update(gradient, keys), wanted), 1),
    }
    count, packing = len(model.ciphertexts), keys.packing
    rotations = packing.giant_step - 1 + packing.dimension // packing.giant_step - 1
    operations = {
        "plaintext multiplications": count * packing.dimension,
        "rotations": count * rotations,
    }
    if "two products" in name:
        operations = None
    more = {"operations": operations, **sizes, **(against or {})}
    if processes == 1:  # the clock does not see other processes
        more["cpu_seconds"] = cpu_seconds
    return row(name, seconds, **more)


# ------------------------------------------------------------------------------------------------


def bench_product():
    """The depth-1 product beside TenSEAL's own matrix product and NumPy."""
    tenseal = tenseal_mm(785, 10)
    numpy = numpy_product(785, 10)
    yield measure_linear(
        "update 785x10, protected",
        linear_task(785, 10),
        tenseal,
    )
    yield measure_linear(
        "update 785x10, protected, diagonals kept",
        linear_task(785, 10),
        tenseal,
        cache=UpdateCache(),
    )
    yield measure_linear(
        "update 785x10, 20 local steps",
        linear_task(785, 10, update=LocalSteps(steps=20)),
        numpy,
    )
    yield measure_linear("update 785x10, two processes", linear_task(785, 10), processes=2)
    yield measure_linear(
        "update 512x10 from 60 rows, two products", linear_task(512, 10, n=60, few_rows=True)
    )


def bench_small():
    """A whole update at 64x10 beside TenSEAL per sample and Paillier per row."""
    per_sample = tenseal_per_sample(64, 10)
    yield measure_linear(
        "update 64x10, any rows, any steps",
        linear_task(64, 10, n=100_000, update=LocalSteps(steps=1000)),
        per_sample,
    )
    paillier = paillier_rows(11, 100_000)
    if paillier is not None:
        yield measure_linear(
            "update 11x1, 100,000 rows",
            linear_task(11, 1, n=100_000),
            paillier,
        )
    for n in (100, 100_000):
        yield measure_linear(f"update 64x10 on {n:,} rows", linear_task(64, 10, n=n))


def bench_large():
    """The largest linear update."""
    yield measure_linear(
        "update 2048x100, two processes", linear_task(2048, 100), processes=2, repeat=1
    )


NETWORKS = {  # inputs, hidden units, samples: the prototype's operations
    (64, 64, 128): "136/26/16/77",
    (64, 32, 128): "74/26/16/71",
    (64, 64, 512): "508/104/40/145",
    (784, 32, 256): "1810/26/16/164",
    (1024, 256, 64): None,
}


def bench_mlp():
    """Gradients of networks, with operation counts beside the prototype's and the sum of parts."""
    for (inputs, hidden, n), prototype in NETWORKS.items():
        spec = MLPClassifier(inputs=inputs, hidden=hidden, classes=DIGITS)
        keys = generate_keys(choose_parameters(spec), spec)
        X = np.random.default_rng(0).uniform(0, np.sqrt(0.75), (n, inputs))  # sqrt(inputs)/2 long
        Y = np.eye(10)[np.random.default_rng(1).integers(0, 10, n)]
        W = initial_weights(spec)
        model = encrypt_model(W, keys)
        keys.public.check()
        counts, parts = Counter(), Counter()
        restore = count_operations(counts, parts)
        clock = Clock()
        gradient = compute_mlp_update(model, keys.public, X, Y)
        times = clock.times()
        restore()
        wanted = mlp_gradient(W, X, Y)
        found = decrypt_update(gradient, keys)
        layers = [
            bits_of(found[:inputs], wanted[:inputs]),
            bits_of(found[inputs:], wanted[inputs:]),
        ]
        yield row(
            f"MLP {inputs}-{hidden}-10, {n} samples, protected",
            **times,
            operations={name: counts[name] for name in OPERATIONS},
            prototype_operations=prototype,
            sum_of_operations_s=round(sum(parts.values()), 3),
            over_operations=round(times["cpu_seconds"] / sum(parts.values()), 3),
            bytes_down=sum(map(len, model.to_blobs())),
            bytes_keys=sum(map(len, keys.public.to_blobs().values())),
            bytes_up=sum(map(len, gradient.to_blobs())),
            bits=round(bits_of(found, wanted), 1),
            bits_of_layers=[round(bits, 1) for bits in layers],
            **rival("NumPy in the clear", functools.partial(mlp_gradient, W, X, Y), repeat=3),
        )


OPERATIONS = (
    "plaintext multiplications",
    "ciphertext multiplications",
    "relinearizations",
    "rotations",
)


def count_operations(counts, parts):
    """Count and time SEAL's operations inside a gradient; return what undoes it."""
    names = {
        "times": "plaintext multiplications",
        "multiply": "ciphertext multiplications",
        "square": "ciphertext multiplications",
        "relinearize": "relinearizations",
        "rotate": "rotations",
        "conjugate": "rotations",
        "rescale": None,
        "lower": None,
        "add": None,
        "encode": None,
    }
    kept = {name: getattr(Machine, name) for name in names}

    def wrap(name, method):
        def call(self, *arguments):
            start = time.process_time()
            result = method(self, *arguments)
            parts[name] += time.process_time() - start
            if names[name]:
                counts[names[name]] += 1
            return result

        return call

    for name, method in kept.items():
        setattr(Machine, name, wrap(name, method))
    return lambda: [setattr(Machine, name, method) for name, method in kept.items()]


# ------------------------------------------------------------------------------------------------


def bench_streaming():
    """Ten million rows of 64 features through Arrow record batches."""
    import pyarrow as pa

    features = array_features(63)
    spec = LinearRegression(inputs=64, features=features)
    rows = 100_000
    flat = np.random.default_rng(0).standard_normal(63 * rows)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat), 63)
    batch = pa.record_batch({"x": column, "y": pa.array(np.zeros(rows))})
    start = time.perf_counter()
    statistics = stream_statistics(spec, (batch for _ in range(100)), ["y"])
    assert statistics.n == 10_000_000
    seconds = time.perf_counter() - start
    yield row(
        "statistics of 10,000,000 x 64, streamed", seconds, rows_per_second=round(1e7 / seconds)
    )


SAMPLES = (100, 1_000, 10_000, 50_000)
EPSILONS = (1.0, 3.0, 10.0)


def bench_privacy(draws=5):
    """Accuracy of the closed-form solution under AdaSSP, for mines of 100 to 50,000 rows.

    Where a mine is to have more rows than the data set, its statistics are those of the whole
    training split, multiplied: the noise is that of so many rows, the optimum that of the split.
    """
    for name, features, X, labels, split in privacy_tasks():
        spec = LinearClassifier(inputs=features.outputs, classes=DIGITS, l2=1e-4, features=features)
        Z, Y = features.transform({"x": X}), np.eye(10)[labels]
        for count in SAMPLES:
            rows = slice(0, min(count, split))
            exact = accumulate_statistics([(Z[rows], Y[rows])])
            many = scale_statistics(exact, count)
            test = (Z[split:], Y[split:])
            scores = {"none": round(evaluate(spec, solve(spec, many), *test), 4)}
            start = time.perf_counter()
            for epsilon in EPSILONS:
                found = [
                    evaluate(
                        spec, solve(spec, privatise_statistics(many, spec, epsilon, 1e-6)), *test
                    )
                    for _ in range(draws)
                ]
                scores[f"{epsilon:g}"] = round(float(np.mean(found)), 4)
            seconds = (time.perf_counter() - start) / draws / len(EPSILONS)
            yield row(f"AdaSSP, {name}, {count:,} rows a mine", seconds, accuracy=scores)


def solve(spec, statistics):
    G = statistics.gram / statistics.n + spec.l2 * np.eye(spec.inputs)
    return np.linalg.solve(G, statistics.cross / statistics.n)


def scale_statistics(statistics, count):
    """As if there were `count` rows of the same distribution."""
    from openmined.syft import Statistics

    times = count / statistics.n
    return Statistics(count, statistics.gram * times, statistics.cross * times)


def privacy_tasks():
    from sklearn.datasets import load_digits

    X, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    base = array_features(64)
    scaled = build_features(
        (ColumnsStep(columns=("x",), centre=(5.0,) * 64, scale=(6.0,) * 64),), base.schema
    )
    yield "digits, 64 pixels", scaled, X[order], labels[order], 1437
    if not DATA.exists():
        print("MNIST is not there: its part of the privacy table is left out", file=sys.stderr)
        return
    X, labels = load_mnist()
    for count in (127, 1023):
        step = RandomReLUStep(features=count, seed="00", patch=8, height=28, width=28)
        yield f"MNIST, {count} ReLU features", mnist_features(step), X, labels, 8000


# ------------------------------------------------------------------------------------------------


def learn_digits(limit=75):
    """Ten mines in turn, protection on, until 97 % of the held-out fifth is right."""
    from sklearn.datasets import load_digits

    X, labels = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    order = generator.permutation(len(X))
    Z = np.hstack([X[order] / 16.0, np.ones((len(X), 1))])
    Y = np.eye(10)[labels[order]]
    spec = MLPClassifier(inputs=65, hidden=64, classes=DIGITS)
    keys = generate_keys(choose_parameters(spec), spec)
    mines = np.array_split(np.arange(1437), 10)
    W, optimizer = initial_weights(spec), Adam(spec.learning_rate)
    state = optimizer.start(W)
    clock, gradients, accuracy = Clock(), 0, 0.0
    while gradients < limit and accuracy < 0.97:
        rows = generator.choice(mines[gradients % 10], 128, replace=False)
        model = encrypt_model(W, keys)
        gradient = compute_mlp_update(model, keys.public, Z[rows], Y[rows])
        W, state = optimizer.step(W, decrypt_update(gradient, keys), state)
        gradients += 1
        accuracy = evaluate(spec, W, Z[1437:], Y[1437:])
    yield row(
        "digits MLP 65-64-10 encrypted to 97 %",
        **clock.times(),
        gradients=gradients,
        accuracy=round(accuracy, 4),
    )


def load_mnist():
    images = gzip.decompress((DATA / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((DATA / "t10k-labels-idx1-ubyte.gz").read_bytes())
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784) / 255.0
    y = np.frombuffer(labels, np.uint8, offset=8).astype(int)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


def mnist_features(step):
    scaled = ColumnsStep(columns=("x",), scale=(0.3,) * 784)
    return build_features((scaled, step), array_features(784).schema)


def learn_mnist():
    """Ten mines in turn, protection on: 8,000 rows, 1,023 random ReLU features, 30 gradients."""
    X, labels = load_mnist()
    Y = np.eye(10)[labels]
    step = RandomReLUStep(features=1023, seed="00", patch=8, height=28, width=28)
    features = mnist_features(step)
    Z = features.transform({"x": X})
    update = LocalSteps(steps=10_000)
    spec = LinearClassifier(inputs=1024, classes=DIGITS, l2=1e-5, update=update, features=features)
    keys = generate_keys(choose_parameters(spec), spec)
    clock = Clock()
    statistics = [
        accumulate_statistics([(Z[rows], Y[rows])]) for rows in np.array_split(np.arange(8000), 10)
    ]
    W, reached, accuracy, up = initial_weights(spec), None, 0.0, 0
    optimum = evaluate(spec, solve_clear(spec, Z[:8000], Y[:8000]), Z[8000:], Y[8000:])
    for turn in range(30):
        model = encrypt_model(W, keys)
        gradient = compute_update(model, keys.public, statistics[turn % 10], update, spec.l2)
        up = sum(map(len, gradient.to_blobs()))
        W = W + max(1.0 / (turn + 1), 0.1) * (decrypt_update(gradient, keys) - W)
        accuracy = evaluate(spec, W, Z[8000:], Y[8000:])
        reached = reached or (turn + 1 if accuracy >= 0.93 else None)
    yield row(
        "MNIST, 1,023 ReLU features, 30 encrypted gradients",
        **clock.times(),
        rival="POSEIDON (NDSS 2021), 89.9 %, as published",
        rival_seconds=5283.0,
        accuracy=round(accuracy, 4),
        first_93=reached,
        bytes_up=up,
        centralised=round(optimum, 4),
    )


def bench_sorted(rounds=30):
    """Label-sorted mines: rounds of plain gradients with Anderson acceleration."""
    X, labels = load_mnist()
    Y = np.eye(10)[labels]
    step = RandomReLUStep(features=511, seed="00", patch=8, height=28, width=28)
    features = mnist_features(step)
    Z = features.transform({"x": X})
    spec = LinearClassifier(inputs=features.outputs, classes=DIGITS, l2=1e-4, features=features)
    keys = generate_keys(choose_parameters(spec), spec)
    mines = np.array_split(np.argsort(labels[:8000], kind="stable"), 10)
    statistics = [accumulate_statistics([(Z[rows], Y[rows])]) for rows in mines]
    optimum = evaluate(spec, solve_clear(spec, Z[:8000], Y[:8000]), Z[8000:], Y[8000:])
    total = sum(statistics[1:], statistics[0])
    largest = float(np.linalg.eigvalsh(total.gram / total.n)[-1]) + spec.l2
    optimizer = Anderson(1.0 / largest, memory=rounds, ridge=1e-6)
    W = initial_weights(spec)
    state = optimizer.start(W)
    caches = [UpdateCache() for _ in mines]
    clock = Clock()
    for _ in range(rounds):
        model = encrypt_model(W, keys)
        gradients = [
            decrypt_update(
                compute_update(model, keys.public, one, spec.update, spec.l2, cache=cache), keys
            )
            for one, cache in zip(statistics, caches, strict=True)
        ]
        W, state = optimizer.step(W, np.mean(gradients, axis=0), state)
    yield row(
        f"MNIST label-sorted, {features.outputs - 1} features, {rounds} rounds of ten gradients",
        **clock.times(),
        accuracy=round(evaluate(spec, W, Z[8000:], Y[8000:]), 4),
        centralised=round(optimum, 4),
    )


# ------------------------------------------------------------------------------------------------


def tenseal_mm(inputs, outputs):
    """TenSEAL's `ckks_vector.mm` with the transposed matrix, a vector per output."""
    import tenseal as ts

    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
    context.global_scale = 2**40
    context.generate_galois_keys()
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((inputs, inputs)).tolist()
    vector = ts.ckks_vector(context, generator.standard_normal(inputs).tolist())
    name = f"TenSEAL ckks_vector.mm, {outputs} columns by one"
    return rival(name, lambda: vector.mm(matrix), times=outputs)


def tenseal_per_sample(inputs, outputs):
    """One sample forward and backward with TenSEAL vectors, as in its tutorial, for each output."""
    import tenseal as ts

    context = ts.context(
        ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[40, 21, 21, 21, 21, 21, 21, 40]
    )
    context.global_scale = 2**21
    context.generate_galois_keys()
    generator = np.random.default_rng(0)
    weight = ts.ckks_vector(context, generator.standard_normal(inputs).tolist())
    bias = ts.ckks_vector(context, [0.1])
    x = ts.ckks_vector(context, generator.standard_normal(inputs).tolist())
    y = ts.ckks_vector(context, [1.0])

    def step():
        out = (x.dot(weight) + bias).polyval([0.5, 0.197, 0, -0.004])
        return x * (out - y)

    return rival("TenSEAL per sample, ONE sample", step, times=outputs, repeat=2)


def paillier_rows(inputs, rows):
    """The 2018 Syft's way: a gradient on encrypted weights at 3072 bits, row by row; one is run."""
    try:
        from phe import paillier
    except ImportError:
        print("phe is not installed: the Paillier rival is left out", file=sys.stderr)
        return None
    public, _ = paillier.generate_paillier_keypair(n_length=3072)
    generator = np.random.default_rng(0)
    weights = [public.encrypt(float(value)) for value in generator.standard_normal(inputs)]
    x = generator.standard_normal(inputs).tolist()

    def one_row():
        error = sum(w * value for w, value in zip(weights, x, strict=True)) - 1.0
        return [error * value for value in x]

    name = f"Paillier (phe, 3072 bits), {rows:,} rows by one"
    return rival(name, one_row, times=rows, repeat=2)


def numpy_product(inputs, outputs):
    spec = LinearRegression(inputs=inputs, outputs=outputs)
    X, Y = random_rows(1000, inputs, outputs)
    statistics = accumulate_statistics([(X, Y)])
    W = np.zeros((inputs, outputs))
    update = LocalSteps(steps=20)
    clear = functools.partial(apply_update, W, statistics, update, spec.l2)
    return rival("NumPy in the clear", clear, repeat=3)


PARTS = {
    "product": bench_product,
    "small": bench_small,
    "mlp": bench_mlp,
    "streaming": bench_streaming,
    "large": bench_large,
    "privacy": bench_privacy,
    "digits": learn_digits,
    "mnist": learn_mnist,
    "sorted": bench_sorted,
}
LONG = {"digits", "mnist", "sorted"}


def measure(only=None):
    """Yield the rows of the chosen parts; all but the long ones by default."""
    for name in [only] if only else [name for name in PARTS if name not in LONG]:
        yield from PARTS[name]()


COLUMNS = "{:<52}{:>10}{:>11}{:>9}{:>7}{:>9}{:>8}{:>6}  {}"


def print_head():
    names = ("", "seconds", "rival s", "ratio", "MB", "kB down", "kB up", "bits", "rival; more")
    print(COLUMNS.format(*names))


def print_row(found):
    def number(key, per=1.0, form=",.0f"):
        return "" if found[key] is None else format(found[key] / per, form)

    more = [found["rival"]] if found["rival"] else []
    more += [f"{key} {value}" for key, value in found.items() if key not in KEYS]
    if found["operations"]:
        more.append("/".join(str(count) for count in found["operations"].values()))
    print(
        COLUMNS.format(
            found["name"][:51],
            number("seconds", form=",.3f"),
            number("rival_seconds", form=",.3f"),
            number("ratio", form=",.1f"),
            number("peak_mb"),
            number("bytes_down", 1e3),
            number("bytes_up", 1e3),
            number("bits", form=".1f"),
            "; ".join(more),
        ),
        flush=True,
    )


def store(rows, path):
    """Put rows into the results, replacing those of the same name."""
    known = json.loads(path.read_text()) if path.exists() else []
    names = {found["name"] for found in rows}
    kept = [found for found in known if found.get("name") not in names]
    path.write_text(json.dumps(kept + rows, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description="Speed, size and learning of encrypted training.")
    parser.add_argument("--only", choices=sorted(PARTS), help="measure one part")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    options = parser.parse_args()
    peak_mb()
    print_head()
    for found in measure(options.only):
        print_row(found)
        store([found], options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
