"""What holds with PyMC, run in an environment that has it: see test_pymc.py."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from sortes.integrations.pymc import CompiledModel, compile_model, sample
from sortes.mcmc import CLogp, GibbsianPolarSlice, Slice
from sortes.mcmc import sample as draw

MAJOR = int(pm.__version__.split(".")[0])
SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def schools():
    y, sd = SCHOOLS
    with pm.Model(coords={"school": list("ABCDEFGH")}) as model:
        errors = pm.Data("errors", sd, dims="school")
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5)
        eta = pm.Normal("eta", 0, 1, dims="school")
        theta = pm.Deterministic("theta", mu + tau * eta, dims="school")
        pm.Normal("y", theta, errors, observed=y, dims="school")
    return model


def mixed():
    """Transforms that change shapes, bounds, several dimensions, a potential."""
    with pm.Model() as model:
        p = pm.Dirichlet("p", np.ones(3))
        u = pm.Uniform("u", -1, 2, shape=(2, 2))
        ends = pm.Normal("ends", [-1, 1], transform=pm.distributions.transforms.ordered)
        pm.Potential("pull", -((p[0] - u.sum()) ** 2) - ends[1] ** 2)
        pm.Multinomial("n", 20, p, observed=[3, 7, 10])
    return model


@pytest.mark.parametrize("make", [schools, mixed])
def test_the_density_is_that_of_the_model(make):
    model = make()
    compiled = compile_model(model)
    logp = model.compile_logp()
    names = [value.name for value in model.value_vars]
    assert list(compiled.names) == names
    points = np.random.default_rng(0).normal(size=(5, len(compiled.initial_point)))
    for point, found in zip(points, compiled.logp._target.logp(points, None), strict=True):
        parts, begin = {}, 0
        for name, shape in compiled.names.items():
            size = int(np.prod(shape))
            parts[name] = point[begin : begin + size].reshape(shape)
            begin += size
        np.testing.assert_allclose(found, logp(parts), rtol=1e-12)


def grouped():
    """Groups in no order, a design, bounds, a mixture of two, and parameters that may be wrong."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 5, 30)
    with pm.Model() as model:
        x = pm.Data("x", rng.normal(size=30))
        slope = pm.StudentT("slope", 3)
        spread = pm.HalfNormal("spread", 1)
        level = pm.Normal("level", slope, spread, shape=5)
        share = pm.Beta("share", 2, 3)
        noise = pm.Gamma("noise", 2, 1, shape=2)
        at = level[group] + slope * x
        pm.Normal("y", at, noise[group % 2], observed=rng.normal(size=30))
        pm.Bernoulli("z", pm.math.invlogit(at - share), observed=rng.integers(0, 2, 30))
        pm.Poisson("n", pt.where(x > slope, 1 + share, level[0] ** 2), observed=rng.poisson(1, 30))
        pm.Exponential("w", pm.math.exp(-level), observed=rng.exponential(size=(3, 5)))
    return model


def regression():
    """A product of matrices, which is no loop over elements."""
    x = np.random.default_rng(2).normal(size=(12, 3))
    with pm.Model() as model:
        beta = pm.Normal("beta", shape=3)
        noise = pm.HalfNormal("noise", 1)
        z = pm.Normal("z", shape=12)
        pm.Normal("y", x @ beta, 1.0, observed=np.arange(12.0))
        pm.Normal("w", z, noise, observed=np.arange(12.0))
    return model


@pytest.mark.parametrize("make", [schools, grouped, regression])
def test_conditionals_give_the_draws_of_the_density(make):
    """What changes with a coordinate decides as the whole density does: draws are the same.

    Without the prior of `z`, or with elements of a group left out, it fails.
    """
    compiled = compile_model(make())
    assert compiled.logp._conditional is not None
    init = compiled.initial_point + np.random.default_rng(0).uniform(-0.5, 0.5, (3, 1))
    options = {"draws": 50, "warmup": 50, "rng": 1}
    whole = CLogp(compiled.logp._keep_alive, len(compiled.initial_point))
    one, two = (draw(logp, Slice(), init, **options) for logp in (whole, compiled.logp))
    np.testing.assert_allclose(one.draws, two.draws, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one.logp, two.logp, rtol=1e-8, atol=1e-8)


def test_there_are_no_conditionals_where_they_save_nothing():
    assert compile_model(mixed()).logp._conditional is None
    with pm.Model() as model:
        pm.MvNormal("x", np.zeros(3), np.eye(3) + 0.5)
    assert compile_model(model).logp._conditional is None


def test_names_dims_and_data():
    data = sample(schools(), draws=50, warmup=20, chains=3, rng=0, keep_warmup=True)
    posterior = data.posterior
    assert set(posterior.data_vars) == {"mu", "tau", "eta", "theta"}
    assert posterior["theta"].dims == ("chain", "draw", "school")
    assert list(posterior["school"].values) == list("ABCDEFGH")
    assert dict(posterior.sizes) == {"chain": 3, "draw": 50, "school": 8}
    values = posterior["mu"] + posterior["tau"] * posterior["eta"]
    np.testing.assert_allclose(posterior["theta"], values)
    assert (posterior["tau"] > 0).all()
    assert {"lp", "n_evals", "stuck", "n_expand"} <= set(data.sample_stats.data_vars)
    np.testing.assert_array_equal(data.observed_data["y"], SCHOOLS[0])
    np.testing.assert_array_equal(data.constant_data["errors"], SCHOOLS[1])
    assert data.warmup_posterior.sizes["draw"] == 20
    assert posterior.attrs["inference_library"] == "sortes"
    assert type(data).__name__ == ("InferenceData" if MAJOR == 5 else "DataTree")


def test_shapes_of_transformed_variables():
    data = sample(mixed(), draws=40, warmup=10, chains=2, rng=0).posterior
    assert data["p"].shape == (2, 40, 3)
    assert data["u"].shape == (2, 40, 2, 2)
    np.testing.assert_allclose(data["p"].sum(axis=2), 1.0)
    assert ((data["u"] > -1) & (data["u"] < 2)).all()
    assert (data["ends"].diff(data["ends"].dims[2]) > 0).all()


@pytest.mark.parametrize("kernel", ["slice", GibbsianPolarSlice(1.0, adapt="diag")], ids=str)
def test_the_law(kernel):
    """A normal mean with a normal prior: 400 chains of 60 draws; z of mean and variance below 5."""
    y = np.array([1.0, 2.5, 0.5])
    with pm.Model() as model:
        x = pm.Normal("x", 1.0, 2.0, shape=2)
        pm.Normal("y", x[0] + x[1], 1.0, observed=y)
    precision = np.eye(2) / 4 + 3 * np.ones((2, 2))
    cov = np.linalg.inv(precision)
    mean = cov @ (np.ones(2) / 4 + y.sum())
    draws = sample(model, kernel, draws=60, warmup=100, chains=400, rng=0).posterior["x"].values
    assert np.isfinite(draws).all()
    for function, expected in ((lambda x: x, mean), (lambda x: (x - mean) ** 2, np.diag(cov))):
        by_chain = function(draws).mean(axis=1)
        z = (by_chain.mean(0) - expected) / (by_chain.std(0) / np.sqrt(len(by_chain)))
        assert (abs(z) < 5).all()


def test_threads_streams_and_reuse():
    compiled = compile_model(schools())
    assert isinstance(compiled, CompiledModel)
    options = {"draws": 30, "warmup": 10, "rng": 5}
    one, two = (sample(compiled, num_threads=n, **options).posterior for n in (1, 3))
    np.testing.assert_array_equal(one["theta"], two["theta"])
    again = sample(schools(), **options).posterior
    np.testing.assert_array_equal(one["mu"], again["mu"])
    trace = draw(compiled.logp, Slice(), compiled.initial_point, draws=10, rng=0)
    assert compiled.to_arviz(trace).posterior["eta"].shape == (4, 10, 8)
    with schools():
        assert sample(draws=5, warmup=0, rng=0).posterior["eta"].shape == (4, 5, 8)


def test_where_chains_begin():
    options = {"draws": 1, "warmup": 0, "keep_warmup": False, "rng": 0}
    compiled = compile_model(schools())
    calls = []

    def callback(chains):
        calls.extend(chains)

    sample(compiled, init={"mu": 3.0, "tau": 2.0}, callback=callback, **options)
    points = np.array([chain.last_position for chain in calls])
    if len(points):  # a short run may end before anybody is asked
        assert points.shape[1] == 10
    kernel = Slice(1e-12, max_steps=1, tune=False)  # which stays where it begins
    data = sample(compiled, kernel, init={"mu": 3.0, "tau": 2.0}, **options).posterior
    np.testing.assert_allclose(data["mu"], 3.0, atol=1e-9)
    np.testing.assert_allclose(data["tau"], 2.0, atol=1e-9)
    assert len(np.unique(data["eta"])) == 32
    assert (abs(data["eta"]) <= 1).all()
    data = sample(compiled, kernel, init=np.full((3, 10), 0.5), **options).posterior
    np.testing.assert_allclose(data["eta"], np.full((3, 1, 8), 0.5), atol=1e-9)


def test_discrete_variables_are_refused_by_name():
    with pm.Model() as model:
        k = pm.Poisson("k", 3)
        z = pm.Bernoulli("z", 0.5, shape=2)
        pm.Normal("y", k + z.sum(), 1, observed=1.0)
    with pytest.raises(ValueError, match=r"^model: .* got 'k' \(int64\), 'z' \(int64\); `sortes"):
        sample(model)


def test_what_is_refused():
    with pm.Model() as empty:
        pm.Deterministic("x", pt.constant(1.0))
    with pytest.raises(ValueError, match=r"^model: must have free variables, got none$"):
        sample(empty)
    with pytest.raises(TypeError, match=r"^model: must be a PyMC model, got 3$"):
        sample(3)
    with pytest.raises(ValueError, match=r"^kernel: must be 'slice' or a kernel, got 'nuts'$"):
        sample(schools(), "nuts")
    compiled = compile_model(schools())
    with pytest.raises(ValueError, match=r"^init: must name free .*, mu, tau, eta, got 'nu'$"):
        sample(compiled, init={"nu": 1.0})
    with pytest.raises(ValueError, match=r"^draws: must be at least 1, got 0$"):
        sample(compiled, draws=0)
    trace = draw(lambda x: -(x**2).sum(1), Slice(), np.zeros(2), draws=2, rng=0)
    with pytest.raises(ValueError, match=r"^trace: must have 10 coordinates, got 2$"):
        compiled.to_arviz(trace)


def test_models_that_nutpie_has_compiled():
    """They have the density of the model, and live as long as who calls them."""
    nutpie = pytest.importorskip("nutpie")
    model = grouped()
    other = nutpie.compile_pymc_model(model)
    theirs = CLogp(other, other.n_dim, signature="grad")
    ours = compile_model(model)
    points = ours.initial_point + np.random.default_rng(0).uniform(-1, 1, (50, other.n_dim))
    values = ours.logp._target.logp(points, None)
    np.testing.assert_allclose(theirs._target.logp(points, None), values, rtol=1e-9)
    trace = draw(theirs, Slice(), points[:4], draws=20, rng=0, num_threads=2)
    del other
    assert np.isfinite(trace.extend(20).logp).all()
    with pytest.raises(ValueError, match=r"^signature: must be 'grad' for nutpie's models, got 's"):
        CLogp(nutpie.compile_pymc_model(model), 10)


class Count(pytensor.graph.Op):
    """What only Python knows: no gradient, and an error where the number is large."""

    itypes = (pt.dscalar,)
    otypes = (pt.dscalar,)

    def perform(self, node, inputs, outputs):
        if inputs[0] > 2.0:
            raise ArithmeticError("too large")
        outputs[0][0] = np.asarray(np.floor(inputs[0]) ** 2)


def test_parts_without_a_gradient():
    """They are left to Python, from any thread; what fails there is never accepted."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 3.0)
        pm.Potential("p", -Count()(x))
    with pytest.warns(RuntimeWarning, match=r"^logp: .* were NaN"):
        data = sample(model, draws=300, warmup=50, rng=0, num_threads=2).posterior["x"]
    assert (data <= 2.0).all()
    # floor(x)^2 is 0 on [0, 1), 1 on [-1, 0) and [1, 2): about e more of the first.
    share = float(((data >= 0) & (data < 1)).mean() / ((data >= -1) & (data < 0)).mean())
    assert 2.0 < share < 3.6
