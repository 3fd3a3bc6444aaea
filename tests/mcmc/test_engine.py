"""The engine: who evaluates changes nothing, and what a density may return."""

import ctypes
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from sigint import ctrl_c_after, needs_sigint
from sortes import Interrupted, Stream
from sortes.mcmc import (
    AdaptiveEllipticalSlice,
    CLogp,
    EllipticalSlice,
    Funnel,
    GeneralizedEllipticalSlice,
    GibbsianPolarSlice,
    HitAndRunSlice,
    Mixture,
    Normal,
    Slice,
    StandardNormal,
    sample,
    sample_on_device,
    smc,
)

TARGET = Funnel(4)
KERNELS = [
    Slice(1.0),
    Slice(1.0, method="doubling", order="permuted"),
    HitAndRunSlice(),
    EllipticalSlice(prior_var=1.0),
    GeneralizedEllipticalSlice(),
    AdaptiveEllipticalSlice(sweep_share=0.3, first_sweeps=3),
    GibbsianPolarSlice(2.0),
    GibbsianPolarSlice(2.0, fresh_direction=True),
    [Slice(1.0), GibbsianPolarSlice(2.0)],
    Mixture([(HitAndRunSlice(), 1), ([Slice(2.0), Mixture([(Slice(), 1)])], 2)]),
]
INIT = np.random.default_rng(0).normal(size=(7, 4))
POINTER = ctypes.POINTER(ctypes.c_double)
STATUS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, POINTER, POINTER, ctypes.c_void_p)
SCALAR = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, POINTER, ctypes.c_void_p)
SIZE = ctypes.c_size_t
GRAD = ctypes.CFUNCTYPE(ctypes.c_int, SIZE, POINTER, POINTER, POINTER, ctypes.c_void_p)
CONDITIONAL = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_int, POINTER, POINTER, ctypes.c_void_p
)
BATCH = ctypes.CFUNCTYPE(ctypes.c_int, SIZE, SIZE, POINTER, POINTER, ctypes.c_void_p)


def same(a, b):
    assert np.array_equal(a.draws, b.draws)
    assert np.array_equal(a.logp, b.logp)
    for name in a.stats:
        assert np.array_equal(a.stats[name], b.stats[name]), name


def run(logp=TARGET, kernel=KERNELS[0], init=INIT, **options):
    return sample(logp, kernel, init, **{"draws": 40, "warmup": 45, "rng": 3, **options})


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_drivers_and_threads_agree(kernel):
    """A target of this side in one thread and several, in batches, and point by point."""
    one = run(kernel=kernel, num_threads=1)
    same(one, run(kernel=kernel, num_threads=3))
    same(one, run(lambda x: TARGET(x), kernel))
    same(one, run(lambda x: TARGET(x[None])[0], kernel, vectorized=False))
    # A chain is the same with others beside it or not.
    alone = run(kernel=kernel, init=INIT[:1])
    assert np.array_equal(alone.draws[0], one.draws[0])
    assert (one.stats["n_evals"] > 0).all()


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_longer_runs_go_on(kernel):
    whole, part = run(kernel=kernel, draws=50), run(kernel=kernel, draws=20)
    same(whole, part.extend(30, num_threads=2))
    same(whole, part.extend(10).extend(20))  # and `part` is as it was
    thinned = run(kernel=kernel, draws=10, thin=5)
    assert np.array_equal(thinned.draws, whole.draws[:, 4::5])
    evals = whole.stats["n_evals"].reshape(7, 10, 5).sum(2)
    assert np.array_equal(thinned.stats["n_evals"], evals)


def test_streams():
    first = run(rng=3)
    again = Stream(first.attrs["key"], first.attrs["step"])
    same(first, run(rng=again))
    assert not np.array_equal(first.draws, run(rng=3, step=1).draws)
    assert not np.array_equal(run(rng=None).draws, run(rng=None).draws)


def test_counts_are_evaluations():
    calls = []

    def logp(x):
        calls.append(len(x))
        return -0.5 * (x**2).sum(1)

    trace = run(logp, GibbsianPolarSlice(1.0), warmup=0)
    assert sum(calls) - 7 == trace.stats["n_evals"].sum()
    phases = sum(trace.stats[name] for name in ("n_direction", "n_stepout", "n_radius"))
    assert np.array_equal(phases, trace.stats["n_evals"])
    assert max(calls) == 7
    assert not trace.stats["stuck"].any()


def test_widths_are_tuned_in_warm_up_alone():
    tuned = run(StandardNormal(4), Slice(100.0), warmup=300)
    assert ((tuned.attrs["widths"] > 0.5) & (tuned.attrs["widths"] < 10)).all()
    assert np.array_equal(tuned.attrs["widths"], tuned.extend(100).attrs["widths"])
    fixed = run(StandardNormal(4), Slice(100.0, tune=False), warmup=300)
    assert (fixed.attrs["widths"] == 100).all()
    rigid = run(StandardNormal(4), Slice(3.0, max_steps=1), warmup=300)
    assert (rigid.attrs["widths"] == 3).all()


def test_compiled_functions():
    """Each signature calls what it says; they run on the thread that holds the interpreter here."""

    def value(n, x):
        return -0.5 * sum(x[i] * x[i] for i in range(n))

    @STATUS
    def status(n, x, logp, user):
        logp[0] = value(n, x)
        return 0

    @SCALAR
    def scalar(n, x, user):
        return value(n, x)

    @GRAD
    def grad(n, x, gradient, logp, user):
        gradient[n - 1] = x[n - 1]
        logp[0] = value(n, x)
        return 0

    @BATCH
    def batch(m, n, x, logp, user):
        assert m == 1
        logp[0] = value(n, x)
        return 0

    draws = run(lambda x: [value(4, row) for row in x], draws=5, warmup=0)
    for name, function in {
        "status": status,
        "scalar": scalar,
        "grad": grad,
        "batch": batch,
    }.items():
        same(draws, run(CLogp(function, 4, signature=name), draws=5, warmup=0))
    address = ctypes.cast(status, ctypes.c_void_p).value
    same(draws, run(CLogp(address, 4), draws=5, warmup=0))


def test_compiled_functions_that_fail():
    def made(result, *, writes=True, where=1.0):
        @STATUS
        def f(n, x, logp, user):
            if x[0] > where:
                return result
            if writes or x[0] < 0.9:
                logp[0] = -0.5 * x[0] ** 2
            return 0

        return f

    outside = run(CLogp(made(1), 1), init=np.zeros(1))
    assert (outside.draws <= 1).all()
    assert outside.attrs["n_nan"] == 0
    with pytest.raises(ValueError, match=r"^logp: the function returned -3, a fatal") as e:
        run(CLogp(made(-3), 1), init=np.zeros(1))
    assert e.value.trace.attrs["interrupted"]
    with pytest.warns(RuntimeWarning, match=r"^logp: .* were NaN"):
        silent = run(CLogp(made(0), 1), init=np.zeros(1))
    assert (silent.draws <= 1).all()
    assert silent.attrs["n_nan"] > 0


@STATUS
def chained(n, x, logp, user):
    """A chain of normals, each about the one before, of which a coordinate changes two terms."""
    logp[0] = -0.5 * (x[0] ** 2 + sum((x[i] - x[i - 1]) ** 2 for i in range(1, n)))
    return 0


@CONDITIONAL
def of_chained(i, n, x, logp, user):
    before = x[i - 1] if i else 0.0
    after = (x[i + 1] - x[i]) ** 2 if i + 1 < n else 0.0
    logp[0] = -0.5 * ((x[i] - before) ** 2 + after)
    return 0


CONDITIONALS = [
    Slice(1.0),
    Slice(1.0, method="doubling", order="permuted"),
    Slice(1.0, order="random"),
    [Slice(1.0), HitAndRunSlice()],
    Mixture([(Slice(), 1), (HitAndRunSlice(), 1)]),
]


@pytest.mark.parametrize("kernel", CONDITIONALS, ids=repr)
def test_conditionals_give_the_same_draws(kernel):
    """They leave out what two points share, so that no decision changes; 85 transitions, one sum.

    With the whole density of the state in place of the conditional one, or without the changes of
    `logp`, it fails.
    """
    whole, part = (
        run(CLogp(chained, 4, conditional=conditional), kernel)
        for conditional in (None, of_chained)
    )
    np.testing.assert_allclose(part.draws, whole.draws, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(part.logp, whole.logp, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(part.attrs["widths"], whole.attrs["widths"])
    more = part.stats["n_evals"] >= whole.stats["n_evals"]
    assert more.all()
    again = run(CLogp(chained, 4, conditional=of_chained), kernel, num_threads=3)
    same(part, again)
    part = run(CLogp(chained, 4, conditional=of_chained), kernel, draws=10)
    same(again, part.extend(30))


def test_conditionals_are_what_decides():
    """Another law: 21,000 draws of two normals with a standard deviation of 3, to within 0.15."""

    @CONDITIONAL
    def wide(i, n, x, logp, user):
        logp[0] = -0.5 * x[i] ** 2 / 9
        return 0

    trace = run(CLogp(chained, 2, conditional=wide), init=INIT[:, :2], draws=3000)
    np.testing.assert_allclose(trace.draws.std(axis=(0, 1)), 3.0, atol=0.15)
    ray = run(CLogp(chained, 2, conditional=wide), HitAndRunSlice(), INIT[:, :2])
    same(ray, run(CLogp(chained, 2), HitAndRunSlice(), INIT[:, :2]))


def test_conditionals_that_fail():
    def made(result, *, writes=True):
        @CONDITIONAL
        def f(i, n, x, logp, user):
            if x[0] > 1.0:
                return result
            if writes or x[0] < 0.9:
                logp[0] = -0.5 * x[0] ** 2
            return 0

        return CLogp(chained, 1, conditional=f)

    assert (run(made(1), init=np.zeros(1)).draws <= 1).all()
    with pytest.raises(ValueError, match=r"^logp: the function returned -3, a fatal"):
        run(made(-3), init=np.zeros(1))
    with pytest.warns(RuntimeWarning, match=r"^logp: .* were NaN"):
        silent = run(made(0, writes=False), init=np.zeros(1))
    assert (silent.draws < 0.9).all()
    with pytest.raises(ValueError, match=r"^conditional: must have an address above 0, got 0$"):
        CLogp(chained, 1, conditional=0)
    with pytest.raises(TypeError, match=r"^conditional: must be a numba cfunc, .*, got 'f'$"):
        CLogp(chained, 1, conditional="f")


class LowLevelCallable(tuple):
    """In the form of SciPy's, which refuses to be indexed."""

    def __getitem__(self, i):
        raise ValueError("no")


def test_capsules():
    """The context of a capsule is what the function is passed."""

    @STATUS
    def f(n, x, logp, user):
        logp[0] = -0.5 * x[0] ** 2 + ctypes.cast(user, POINTER)[0]
        return 0

    api = ctypes.pythonapi
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    api.PyCapsule_SetContext.argtypes = [ctypes.py_object, ctypes.c_void_p]
    capsule = api.PyCapsule_New(ctypes.cast(f, ctypes.c_void_p), None, None)
    seven = ctypes.c_double(7.0)
    api.PyCapsule_SetContext(capsule, ctypes.addressof(seven))
    for obj in (capsule, LowLevelCallable((capsule, f, seven))):
        trace = run(CLogp(obj, 1), init=np.zeros(1), draws=3, warmup=0)
        np.testing.assert_allclose(trace.logp, 7 - 0.5 * trace.draws[..., 0] ** 2)


#: With the C interface of BridgeStan 2: a scale, by its logarithm, and a number of that scale.
STAN = r"""
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
typedef struct { double mean; } bs_model;
bs_model *bs_model_construct(const char *data, unsigned seed, char **error) {
  bs_model *m = malloc(sizeof(bs_model));
  m->mean = atof(data);
  return m;
}
int bs_log_density(const bs_model *m, bool propto, bool jacobian, const double *x, double *lp,
                   char **error) {
  if (x[0] > 3) {
    if (error) *error = strdup("rejected");
    *lp = 7;
    return -1;
  }
  double scale = exp(x[0]), z = (x[1] - m->mean) / scale;
  *lp = -0.5 * scale * scale - 0.5 * z * z - x[0] + (jacobian ? x[0] : 0) - (propto ? 0 : 1);
  return 0;
}
"""


class StanModel:
    """What is read of BridgeStan's."""

    def __init__(self, path):
        self.stanlib = ctypes.CDLL(str(path))
        construct = self.stanlib.bs_model_construct
        construct.restype = ctypes.c_void_p
        construct.argtypes = [ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p]
        self.model = construct(b"2.5", 0, None)


@pytest.mark.filterwarnings("ignore:logp. .* were NaN")
def test_models_of_stan(tmp_path):
    """The C interface alone: its library is compiled here. 28,000 draws of a half-normal scale.

    The Jacobian is counted, points that the program rejects are not taken, and their value is not.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform == "win32":
        pytest.skip("no C compiler")
    source, library = tmp_path / "model.c", tmp_path / "model.so"
    source.write_text(STAN)
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, source, "-lm"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    model = StanModel(library)
    logp = CLogp(model, 2, signature="stan")
    points = np.array([[0.5, 2.0], [4.0, 0.0]])
    values = logp._target.logp(points, None)
    scale = np.exp(0.5)
    assert abs(values[0] + 0.5 * scale**2 + 0.5 * (0.5 / scale) ** 2 + 1) < 1e-12
    assert np.isnan(values[1])
    trace = run(logp, init=INIT[:, :2], draws=4000, num_threads=2)
    assert (trace.draws[..., 0] <= 3).all()
    mean = np.exp(trace.draws[..., 0]).mean()
    assert abs(mean - np.sqrt(2 / np.pi)) < 0.05
    assert abs(trace.draws[..., 1].mean() - 2.5) < 0.05
    with pytest.raises(
        ValueError, match=r"^signature: must be 'stan' for BridgeStan's models, got"
    ):
        CLogp(model, 2)


DRIVERS = {"batched": True, "scalar": False}


@pytest.mark.parametrize("vectorized", [True, False], ids=["batched", "scalar"])
class TestValues:
    """What a density may return, line by line."""

    def go(self, f, vectorized, **options):
        logp = (lambda x: np.array([f(row) for row in x])) if vectorized else f
        return run(logp, vectorized=vectorized, **{"init": np.zeros((3, 2)), **options})

    def test_nan_is_never_accepted_and_counted(self, vectorized):
        with pytest.warns(RuntimeWarning, match=r"^logp: \d+ log densities were NaN"):
            trace = self.go(lambda x: -(x @ x) if x[0] < 0.5 else np.nan, vectorized)
        assert (trace.draws[..., 0] < 0.5).all()
        assert trace.attrs["n_nan"] > 0

    def test_minus_infinity_is_outside(self, vectorized):
        trace = self.go(lambda x: -(x @ x) if x[0] < 0.5 else -np.inf, vectorized)
        assert (trace.draws[..., 0] < 0.5).all()
        assert trace.attrs["n_nan"] == 0

    def test_plus_infinity_ends_the_run(self, vectorized):
        with pytest.raises(ValueError, match=r"^logp: is \+inf at \[.*\] in chain \d$") as error:
            self.go(lambda x: np.inf if x[0] > 1.5 else -0.5 * (x @ x), vectorized)
        assert error.value.trace.draws.shape[0] == 3

    def test_no_chain_begins_outside(self, vectorized):
        init = np.array([[0.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
        message = r"^init: the log density must be finite where chains begin, got 1: -inf, 2: -inf$"
        with pytest.raises(ValueError, match=message):
            self.go(lambda x: 0.0 if x[0] < 1 else -np.inf, vectorized, init=init)
        with pytest.raises(ValueError, match=r"^logp: is \+inf at \[2.0, 0.0\], where chain 1"):
            self.go(lambda x: 0.0 if x[0] < 1 else np.inf, vectorized, init=init)

    def test_an_exception_keeps_what_there_is(self, vectorized):
        left = [500]

        def f(x):
            left[0] -= 1
            if not left[0]:
                raise LookupError("mine")
            return -0.5 * (x @ x)

        with pytest.raises(LookupError, match=r"^mine$") as error:
            self.go(f, vectorized, warmup=0)
        kept = error.value.trace
        whole = self.go(lambda x: -0.5 * (x @ x), vectorized, warmup=0)
        n = kept.draws.shape[1]
        assert 0 < n < 40
        assert np.array_equal(kept.draws, whole.draws[:, :n])
        with pytest.raises(ValueError, match=r"^draws: this trace was interrupted"):
            kept.extend(3)

    def test_a_limit(self, vectorized):
        def f(x):
            return 0.0 if (x == 0).all() else -np.inf

        with pytest.warns(RuntimeWarning, match=r"^max_evals_per_transition: was reached for 120"):
            trace = self.go(f, vectorized, max_evals_per_transition=30)
        assert (trace.draws == 0).all()
        assert trace.stats["stuck"].all()
        assert (trace.stats["n_evals"] <= 60).all()
        with pytest.raises(ValueError, match=r"^max_evals_per_transition: was reached in chain 0"):
            self.go(f, vectorized, max_evals_per_transition=30, on_limit="raise")


def test_a_chain_that_can_never_move_says_so():
    """Transitions that ask for nothing end after a while: nobody could stop them otherwise."""
    still = Slice(1e-300, max_steps=1, tune=False)
    with pytest.raises(ValueError, match=r"^kernel: chain 0 cannot leave \[10000000000.0\]: is"):
        sample(StandardNormal(1), still, [1e10], thin=2**31, draws=1, warmup=0, rng=0)


def test_compiled_densities_know_whether_they_are_vectorised():
    with pytest.raises(ValueError, match=r"^vectorized: must be True for a compiled density, got"):
        sample(StandardNormal(2), Slice(), [0.5, 0.5], vectorized=False, rng=0)


def test_a_flat_density_does_not_hang():
    with pytest.warns(RuntimeWarning, match=r"^max_evals_per_transition: "):
        trace = run(lambda x: np.zeros(len(x)), Slice(1.0), warmup=0, draws=3,
                    max_evals_per_transition=100)  # fmt: skip
    assert trace.stats["stuck"].all()
    # Doubling ends by itself, and then the interval is all there is.
    run(lambda x: np.zeros(len(x)), Slice(1.0, method="doubling"), warmup=0)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (np.zeros((7, 1)), ValueError, r"^logp: must return shape \(7,\) .* vectorized=False$"),
        (0.0, ValueError, r"^logp: must return shape \(7,\) .* got \(\); .*vectorized=False$"),
        (np.zeros(7, complex), TypeError, "^logp: "),
        (["a"] * 7, TypeError, "^logp: "),
        (None, TypeError, "^logp: "),
    ],
)
def test_wrong_results(returned, error, message):
    with pytest.raises(error, match=message):
        run(lambda x: returned)


def test_wrong_results_of_one_point():
    with pytest.raises(TypeError, match=r"^logp: must return a number, got 'a'$"):
        run(lambda x: "a", vectorized=False)
    same(
        run(lambda x: TARGET(x).astype(np.float32)), run(lambda x: TARGET(x).astype("f4").tolist())
    )


def test_beginnings():
    def init(generator, chain):
        calls.append(chain)
        return generator.normal(size=2)

    calls = []
    trace = sample(lambda x: np.where(x[:, 0] > 1, 0.0, -np.inf) - (x**2).sum(1), Slice(), init,
                   chains=5, draws=3, warmup=0, rng=0)  # fmt: skip
    assert (trace.draws[..., 0] > 1).all()
    assert len(calls) > 10
    with pytest.raises(ValueError, match=r"^init: the log density must be finite where"):
        sample(lambda x: x[:, 0] - np.inf, Slice(), init, rng=0)
    assert run(init=np.zeros(4), chains=2).draws.shape == (2, 40, 4)
    assert run(init=np.zeros(4)).draws.shape == (4, 40, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": np.zeros((2, 3))}, "^init: must have 4 coordinates, got 3$"),
        ({"init": np.zeros((2, 2, 2))}, r"^init: must have shape \(d,\) or \(chains, d\), got"),
        ({"init": [0, 0, np.nan, 0]}, r"^init: must be finite, got nan at \[0, 2\]$"),
        ({"chains": 3}, r"^init: must have a row for each of 3 chains, got \(7, 4\)$"),
        ({"draws": 0}, "^draws: must be at least 1, got 0$"),
        ({"draws": 2**31, "thin": 2}, r"^draws: must leave a chain less than 2\*\*32 transitions"),
        ({"var_names": {"x": (5,)}}, "^var_names: must hold 4 coordinates in all, got 5$"),
        ({"kernel": Slice([1.0, 2.0])}, r"^width: must be a number or have shape \(4,\), got"),
        ({"kernel": Slice(upper=0.0)}, r"^init: row \d: item \d must be in \[-inf, 0.0\], got"),
        ({"kernel": GibbsianPolarSlice(1.0), "init": np.zeros(4)}, "^init: .*move `center`$"),
        (
            {"kernel": GibbsianPolarSlice(1.0), "logp": StandardNormal(1), "init": [1.0]},
            "^init: must have at least 2 coordinates, got 1$",
        ),
        ({"kernel": HitAndRunSlice(scale_tril=np.eye(3))}, r"^scale_tril: must have shape \(4, 4"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Slice(0.0), r"^width: must be in \(0, inf\), got 0.0$"),
        (lambda: Slice(method="doubling", max_steps=3), "^max_steps: must not be given with doubl"),
        (lambda: Slice(max_doublings=3), "^max_doublings: must not be given with stepping out$"),
        (lambda: Slice(lower=1, upper=1), "^upper: must be above `lower`, which is 1.0, got 1.0$"),
        (lambda: EllipticalSlice(), "^prior_var: one of"),
        (lambda: EllipticalSlice(prior_cov=[[1, 2], [2, 1]]), "^prior_cov: must be positive defin"),
        (lambda: EllipticalSlice(prior_cov=[[1, 2], [0, 1]]), "^prior_cov: must be symmetric"),
        (
            lambda: EllipticalSlice(prior_scale_tril=[[1, 2], [0, 1]]),
            "^prior_scale_tril: must be l",
        ),
        (lambda: HitAndRunSlice(scale_tril=[[0.0]]), "^scale_tril: must have a positive diagonal"),
        (lambda: CLogp(0, 1), "^obj: must have an address above 0, got 0$"),
        (lambda: Funnel(1), "^dim: must be at least 2, got 1$"),
    ],
)
def test_what_kernels_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@needs_sigint
@pytest.mark.parametrize("driver", ["native", "batched"])
@pytest.mark.parametrize("on_interrupt", ["return", "raise"])
def test_an_interrupt_keeps_what_there_is(driver, on_interrupt):
    logp = StandardNormal(5) if driver == "native" else lambda x: -0.5 * (x**2).sum(1)
    options = {"init": np.zeros(5), "draws": 2_000_000, "on_interrupt": on_interrupt}
    start = time.monotonic()
    with ctrl_c_after(0.2):
        if on_interrupt == "return":
            trace = run(logp, **options)
        else:
            with pytest.raises(Interrupted) as stopped:
                run(logp, **options)
            trace = stopped.value.partial
    assert time.monotonic() - start < 30
    assert trace.attrs["interrupted"]
    n = min(trace.draws.shape[1], 10)
    assert 0 < trace.draws.shape[1] < 2_000_000
    whole = run(logp, init=np.zeros(5), draws=n)
    assert np.array_equal(trace.draws[:, :n], whole.draws)


def test_progress():
    for logp in (TARGET, lambda x: TARGET(x)):
        seen = []
        run(logp, progress=lambda *counts, seen=seen: seen.append(counts))
        assert seen[-1] == (7 * 85, 7 * 85)


def test_variables_and_arviz(monkeypatch):
    import sys
    import types

    trace = run(var_names={"a": (), "b": (3,)})
    found = trace.variables()
    assert found["a"].shape == (7, 40)
    assert np.array_equal(found["b"], trace.draws[..., 1:])
    # Both forms of ArviZ's function. That of arviz-base is called for real elsewhere.
    fake = types.ModuleType("arviz")
    fake.from_dict = lambda *args, **kwargs: (args, kwargs)
    monkeypatch.setitem(sys.modules, "arviz", fake)
    fake.__version__ = "1.0.1"
    (groups,), _ = trace.to_arviz()
    fake.__version__ = "0.23.0"
    assert trace.to_arviz()[1].keys() == groups.keys() == {"posterior", "sample_stats"}
    assert groups["sample_stats"].keys() == {"lp", "n_evals", "n_expand", "n_shrink", "stuck"}


def test_kernels_in_turn_are_one_after_the_other():
    """A list of one is that kernel; of two, evaluations are those of both."""
    one = run(kernel=Slice(1.0))
    assert np.array_equal(one.draws, run(kernel=[Slice(1.0)]).draws)
    assert np.array_equal(one.attrs["widths"], run(kernel=[Slice(1.0)]).attrs["widths"])
    both = run(kernel=[Slice(1.0, tune=False), HitAndRunSlice(3.0)])
    assert both.attrs["widths"].shape == (7, 5)
    assert (both.attrs["widths"][:, :4] == 1).all()
    assert (both.attrs["widths"][:, 4] != 3).any()
    assert set(both.stats) == {"n_evals", "stuck"}
    assert both.stats["n_evals"].min() > 4 * 3


def test_a_part_that_cannot_take_the_state_leaves_it():
    """Bounds of one part, which another part leaves; and the centre of a polar one."""
    inside = Slice(1.0, lower=-0.1, upper=0.1)
    with pytest.warns(RuntimeWarning, match=r"^max_evals_per_transition"):
        trace = run(StandardNormal(2), [inside, Slice(2.0)], init=np.zeros((3, 2)))
    assert (np.abs(trace.draws) > 0.2).any()
    assert trace.stats["stuck"].any()
    with pytest.raises(ValueError, match=r"^init: must not be at the center"):
        run(StandardNormal(2), [Slice(), GibbsianPolarSlice(1.0)], init=np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("kernel", "error", "message"),
    [
        ([], ValueError, "^kernel: must hold a kernel, got none$"),
        ([Slice(), 3], TypeError, "^kernel: item 1: must be a kernel of sortes.mcmc, got 3$"),
        ([GeneralizedEllipticalSlice()], TypeError, r"^kernel: item 0: must not be Generalized"),
        ([EllipticalSlice(prior_var=1)], TypeError, "^kernel: item 0: must not be EllipticalSlice"),
        ("slice", TypeError, "^kernel: must be a kernel of sortes.mcmc, got 'slice'$"),
        ([Slice([1.0, 2.0])], ValueError, r"^width: must be a number or have shape \(4,\), got"),
    ],
)
def test_kernels_that_are_refused(kernel, error, message):
    with pytest.raises(error, match=message):
        run(kernel=kernel)


@pytest.mark.parametrize(
    ("kernels", "error", "message"),
    [
        ([], ValueError, "^kernels: must hold a kernel, got none$"),
        ([Slice()], TypeError, "^kernels: item 0 must be a pair, got Slice"),
        (
            [(Slice(), 0.0)],
            ValueError,
            r"^kernels: item 0: its weight must be in \(0, inf\), got 0",
        ),
        ([(Slice(), "a")], TypeError, "^kernels: item 0: its weight must be a"),
        ([(None, 1.0)], TypeError, "^kernels: item 0: must be a kernel of sortes.mcmc, got None$"),
        (3, TypeError, "^kernels: must hold pairs of a kernel and a weight, got 3$"),
    ],
)
def test_mixtures_that_are_refused(kernels, error, message):
    with pytest.raises(error, match=message):
        Mixture(kernels)


def test_warm_up_fits_the_student_distribution():
    """Far from where it begins, with strong correlation: few proposals are refused afterwards."""
    mean = np.array([100.0, -50.0, 20.0, 0.0])
    tril = np.array([[3.0, 0, 0, 0], [2.9, 0.3, 0, 0], [0.0, 1, 1, 0], [0, 0, 0, 0.1]])
    target = Normal(mean, cov=tril @ tril.T)
    options = {"init": np.zeros(4), "draws": 500}
    fitted = run(target, GeneralizedEllipticalSlice(), warmup=1600, **options)
    fixed = run(target, GeneralizedEllipticalSlice(tune=False), warmup=1600, **options)
    assert fitted.stats["n_evals"].mean() < 3
    assert fixed.stats["n_evals"].mean() > 5
    assert (np.abs(fitted.draws.mean((0, 1)) - mean) < 0.2 * np.diag(tril @ tril.T) ** 0.5).all()
    np.testing.assert_allclose(fitted.logp, target(fitted.draws.reshape(-1, 4)).reshape(4, -1))


def test_what_is_learnt_from_all_chains_needs_chains():
    """`adapt` is refused where nobody would use it."""
    learns = GibbsianPolarSlice(1.0, adapt="diag")
    with pytest.raises(
        ValueError, match=r"^kernel: .*`adapt` must be None beside others, got 'diag'$"
    ):
        sample(StandardNormal(2), [Slice(1.0), learns], np.ones(2), rng=0)
    with pytest.raises(
        ValueError, match=r"^kernel: `adapt` must be None for particles, got 'diag'$"
    ):
        smc(StandardNormal(2), learns, StandardNormal(2), rng=0)
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"^kernel: `adapt` must be None on a device, got 'diag'$"):
        sample_on_device(lambda x: -(x[:, 0] ** 2), learns, torch.ones(3, 2), rng=0)
    fresh = GibbsianPolarSlice(1.0, fresh_direction=True)
    with pytest.raises(ValueError, match=r"^kernel: `fresh_direction` must be False on a device"):
        sample_on_device(lambda x: -(x[:, 0] ** 2), fresh, torch.ones(3, 2), rng=0)
