"""Speed of what is promised for tensors: Muon and its optimizers, soft choices, their derivatives, and compilers.

    python tests/benchmarks/tensors.py [ONLY] [--device cuda] [--turns 9]

Each figure is a ratio of medians of calls in turn, ours over what it is compared with, beside the limit that was promised;
or seconds of one first call, or a number of operations. On the processor the clock is that of the process with one thread,
which does not count other programs; on a device it is the wall's, and each call waits for the device. What is not installed
says so. Figures of NumPy and JAX do not depend on --device.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):     # before NumPy starts its BLAS
    os.environ.setdefault(variable, "1")

import argparse
import time
import warnings
from statistics import median

import numpy as np

import lowrank

KELLER = ((3.4445, -4.7750, 2.0315),) * 5
METHODS = ("laplace", "sigmoid", "subset", "sparse", "expclip")
ENOUGH = 1.5                                            # seconds for one side of a figure


class Run:
    """Where it runs, and how it is timed."""

    def __init__(self, device, turns):
        import torch
        self.device, self.turns, self.on_cpu, self.torch = device, turns, device == "cpu", torch
        if self.on_cpu:
            torch.set_num_threads(1)
        self.source = torch.Generator().manual_seed(0)

    def tensor(self, *shape, dtype="float64"):
        return self.torch.randn(*shape, generator=self.source).to(self.device, getattr(self.torch, dtype))

    def wait(self):
        if not self.on_cpu:
            getattr(self.torch, self.torch.device(self.device).type).synchronize()

    def seconds(self, call, times=1):
        clock = time.process_time if self.on_cpu else time.perf_counter
        self.wait()
        start = clock()
        for _ in range(times):
            call()
        self.wait()
        return (clock() - start) / times

    def spent(self):
        """Seconds so far, also those of compilers that were started."""
        return sum(os.times()[:4]) if self.on_cpu else time.perf_counter()

    def ratio(self, ours, other):
        """Median of ours over median of the other; short calls are repeated, long ones tried less often."""
        calls = (ours, other)
        for call in calls:
            call()                                      # imports, caches, memory
        longest = max(self.seconds(call) for call in calls)
        times = max(1, int(2e-3 / max(longest, 1e-7)))
        found, order = ([], []), np.random.default_rng(0)
        for _ in range(max(3, min(self.turns, int(ENOUGH / max(longest, 1e-7))))):
            for i in order.permutation(2):
                found[i].append(self.seconds(calls[i], times))
        return median(found[0]) / median(found[1])


# --- figures: name -> (unit, limit or None, function of a run)

def products(torch, X, schedule):
    """The same polynomial, written out: what a step costs at least."""
    mm, fused = (torch.mm, torch.addmm) if X.ndim == 2 else (torch.bmm, torch.baddbmm)
    for a, b, c in schedule:
        Y = mm(X, X.mT)
        X = fused(X, fused(Y, Y, Y, beta=b, alpha=c), X, beta=a)
    return X


def update_over_products(*shape):
    def figure(run):
        G = run.tensor(*shape, dtype="bfloat16")
        X = G / G.float().norm().to(G.dtype)
        return run.ratio(lambda: lowrank.muon_update(G, beta=0, schedule=KELLER, normalize="frobenius"), lambda: products(run.torch, X, KELLER))
    return figure


def operations(call):
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.count += not function.overloadpacket.__name__.startswith("_record_function")
            return function(*args, **(kwargs or {}))

    with Counting() as mode:
        call()
    return mode.count


def operations_of_an_update(normalize):
    def figure(run):
        G, M = run.tensor(2, 64, 64, dtype="float32")
        return operations(lambda: lowrank.muon_update(G, M, normalize=normalize, dtype=run.torch.bfloat16))
    return figure


def a_step(run, make, shape, count):
    params = [run.torch.nn.Parameter(run.tensor(*shape, dtype="float32")) for _ in range(count)]
    for W in params:
        W.grad = run.tensor(*shape, dtype="float32")
    return make(params).step


def their_muon(run):
    return lambda params: run.torch.optim.Muon(params, adjust_lr_fn="match_rms_adamw")


def our_muon(params):
    return lowrank.TorchMuon(params, schedule=KELLER, normalize="frobenius")


def step_over_theirs(shape, count):
    return lambda run: run.ratio(a_step(run, our_muon, shape, count), a_step(run, their_muon(run), shape, count))


def operations_of_a_step(make, count):
    def figure(run):
        step = a_step(run, make(run), (64, 64), count)
        step()
        return operations(step)
    return figure


def optax_over_theirs(shape, count):
    def figure(run):
        import jax
        import optax.contrib
        rng = np.random.default_rng(0)
        tree = {f"W{i}": jax.numpy.asarray(rng.standard_normal(shape), "float32") for i in range(count)}
        calls = []
        for optimizer in (lowrank.optax_muon(1e-3, schedule=KELLER, normalize="frobenius"), optax.contrib.muon(1e-3, consistent_rms=0.2)):
            update, state = jax.jit(optimizer.update), optimizer.init(tree)
            calls.append(lambda update=update, state=state: jax.block_until_ready(update(tree, state, tree)))
        return run.ratio(*calls)
    return figure


def topk_over_numpy(method):
    def figure(run):
        x = run.tensor(8, 65536)
        there = x.cpu().numpy()
        return run.ratio(lambda: lowrank.soft_topk(x, 8192, method=method), lambda: lowrank.soft_topk(there, 8192, method=method))
    return figure


def backward_over_value(method, *shape):
    """Value and gradient over the value alone."""
    def figure(run):
        x, g, k = run.tensor(*shape).requires_grad_(), run.tensor(*shape), shape[-1] // 8
        both = lambda: run.torch.autograd.grad(lowrank.soft_topk(x, k, method=method), x, g)
        return run.ratio(both, lambda: lowrank.soft_topk(x.detach(), k, method=method))
    return figure


def vjp_over_value(n, k):
    def figure(run):
        x, g = np.random.default_rng(0).standard_normal((2, n))
        return run.ratio(lambda: lowrank.soft_topk_vjp(x, k, g, method="subset"), lambda: lowrank.soft_topk(x, k, method="subset"))
    return figure


def topk_over_sort(method):
    def figure(run):
        x = np.random.default_rng(0).standard_normal((4096, 64))
        return run.ratio(lambda: lowrank.soft_topk(x, 5, temperature=0.5, method=method), lambda: np.sort(x, axis=-1))
    return figure


def map_over_package(ours, theirs, *shape):
    def figure(run):
        import entmax
        x = run.tensor(*shape)
        return run.ratio(lambda: getattr(lowrank, ours)(x), lambda: getattr(entmax, theirs)(x, dim=-1))
    return figure


def first_call(make, *shape, dtype="float32"):
    """After something else has been compiled: what a first compilation imports is not ours."""
    def figure(run):
        torch, X = run.torch, run.tensor(*shape, dtype=dtype)
        torch.compiler.reset()
        torch.compile(lambda x: torch.tanh(x) + 1, fullgraph=True)(X)
        torch._inductor.config.compile_threads = 1      # whose time is counted
        call, start = torch.compile(make(run), fullgraph=True), run.spent()
        call(X)
        run.wait()
        return run.spent() - start
    return figure


def jax_compilation(method, gradient):
    def figure(run):
        import jax
        f = lambda x: lowrank.soft_topk(x, 5, method=method)
        f = jax.grad(lambda x, f=f: f(x)[0]) if gradient else f
        x = jax.numpy.linspace(-1.0, 1.0, 64)
        jax.jit(lambda x: x + 1)(x)
        start = run.spent()
        jax.jit(f).lower(x).compile()
        return run.spent() - start
    return figure


SHAPES = {"1024^2": (1024, 1024), "512 x 2048": (512, 2048), "12 x 64^2": (12, 64, 64)}
STEPS = {"12 x 64^2": ((64, 64), 12), "6 x 256^2": ((256, 256), 6), "1024^2": ((1024, 1024), 1), "2 x (64, 2048)": ((64, 2048), 2)}
ROWS = {"64": (64,), "64 x 64": (64, 64), "256 x 1024": (256, 1024), "8 x 65536": (8, 65536)}
FIGURES = {
    **{f"muon_update, bfloat16, over bare products, {name}": ("x", 1.1, update_over_products(*shape)) for name, shape in SHAPES.items()},
    **{f"muon_update, operations for 64^2, {normalize}": ("calls", 40, operations_of_an_update(normalize))
       for normalize in ("frobenius", "schatten4", "schatten8")},
    **{f"TorchMuon, step over torch.optim.Muon, {name}": ("x", 1.0, step_over_theirs(*cell)) for name, cell in STEPS.items()},
    **{f"TorchMuon, operations of a step for {count} of 64^2": ("calls", None, operations_of_a_step(lambda run: our_muon, count)) for count in (1, 12)},
    "torch.optim.Muon, operations of a step for 12 of 64^2": ("calls", None, operations_of_a_step(their_muon, 12)),
    **{f"optax_muon, step over optax.contrib.muon, {name}": ("x", 1.0, optax_over_theirs(*cell)) for name, cell in STEPS.items()},
    **{f"soft_topk, tensors over NumPy, 8 x 65536, {method}": ("x", 2.0, topk_over_numpy(method)) for method in METHODS},
    **{f"soft_topk, value and backward over value, 8 x 65536, {method}": ("x", 4.0, backward_over_value(method, 8, 65536)) for method in METHODS},
    "soft_topk, value and backward over value, 10^6, subset": ("x", 4.0, backward_over_value("subset", 10**6)),
    "soft_topk, value and backward over value, 512 x 64, subset": ("x", 4.0, backward_over_value("subset", 512, 64)),
    **{f"soft_topk_vjp, subset over value, 10^6, k = {k}": ("x", 4.0, vjp_over_value(10**6, k)) for k in (1000, 500_000)},
    **{f"soft_topk, {method} over np.sort, 4096 x 64": ("x", 60.0, topk_over_sort(method)) for method in ("sparse", "expclip")},
    **{f"entmax over entmax.entmax15, {name}": ("x", 1.0, map_over_package("entmax", "entmax15", *shape)) for name, shape in ROWS.items()},
    **{f"sparsemax over entmax.sparsemax, {name}": ("x", 1.0, map_over_package("sparsemax", "sparsemax", *shape)) for name, shape in ROWS.items()},
    "torch.compile, first call, muon_update 64^2": ("s", 3.0, first_call(lambda run: lambda G: lowrank.muon_update(G, dtype=run.torch.bfloat16).update, 64, 64)),
    **{f"torch.compile, first call, {name}": ("s", 3.0, first_call(lambda run, f=f: f, 8, 64)) for name, f in {
        "softmax": lambda x: lowrank.softmax(x), "sparsemax": lambda x: lowrank.sparsemax(x), "entmax": lambda x: lowrank.entmax(x),
        **{f"soft_topk {method}": lambda x, method=method: lowrank.soft_topk(x, 5, method=method) for method in METHODS}}.items()},
    **{f"jax.jit, compilation of {'the gradient of ' * gradient}soft_topk, {method}": ("s", None, jax_compilation(method, gradient))
       for gradient in (False, True) for method in METHODS},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("only", nargs="?", default="", help="part of a figure's name")
    parser.add_argument("--device", default="cpu", help="a device of PyTorch, such as cuda")
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    chosen = {name: figure for name, figure in FIGURES.items() if options.only in name}
    if not chosen:
        parser.error(f"no figure has {options.only!r} in its name; there are: " + "; ".join(FIGURES))
    run, missed = Run(options.device, options.turns), []
    print(f"device {options.device}, PyTorch {run.torch.__version__}, NumPy {np.__version__}, "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else f"device {options.device}")
    wide = max(map(len, chosen))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (unit, limit, figure) in chosen.items():
            try:
                value = figure(run)
            except ImportError as error:
                print(f"{name:{wide}}  not installed: {error.name}", flush=True)
                continue
            except Exception as error:                  # the others still have something to say
                print(f"{name:{wide}}  fails: {type(error).__name__}", flush=True)
                missed += [name] if limit is not None else []
                continue
            said = "" if limit is None else f"  <= {limit:g}  met" if value <= limit else f"  <= {limit:g}  MISSED"
            missed += [name] if said.endswith("MISSED") else []
            print(f"{name:{wide}}  {value:7.3g} {unit}{said}", flush=True)
    limits = sum(limit is not None for _, limit, _ in chosen.values())
    print(f"\n{limits} limits, {len(missed)} missed" + "".join(f"\n  {name}" for name in missed))


if __name__ == "__main__":
    main()
