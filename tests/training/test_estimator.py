"""Estimators against scikit-learn's own checks, and what they add: sequences, images and a network on raw inputs."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import tnalgebra as tna
from tnalgebra.errors import AxisMismatchError, DataError, TrainingError, UnknownNameError

KINDS = ("cp", "tt", "ht")


def classifier(kind="cp", **options):
    return tna.TensorNetworkClassifier(kind, **{"epochs": 10, "random_state": 0, **options})


def regressor(kind="cp", **options):
    return tna.TensorNetworkRegressor(kind, **{"epochs": 10, "random_state": 0, **options})


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def sequences():
    """Which of the first two steps is larger, at a scale far from 1."""
    X = np.random.default_rng(1).standard_normal((200, 3, 2))
    return 1000 + 50 * X, np.where(X[:, 0, 0] > X[:, 1, 0], "first", "second")


# --- scikit-learn's checks ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([classifier("cp", epochs=20), regressor("cp", epochs=20)])
def test_estimators_keep_the_conventions(estimator, check):
    """Without exceptions: where one batch has all rows, weights are repeated rows as well."""
    check(estimator)


# --- what is learnt ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_moons_are_learnt(kind):
    X, y = make_moons(200, noise=0.1, random_state=0)
    assert classifier(kind, epochs=50).fit(X, y).score(X, y) > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_is_learnt(kind, rng):
    X = rng.standard_normal((200, 3))
    y = 100 + 7 * np.maximum(X[:, 0], X[:, 1])
    assert regressor(kind, epochs=40).fit(X, y).score(X, y) > 0.8


def test_digits_are_learnt_from_patches():
    data = tna.load_data("digits", train=700)
    model = classifier("tt", patch_size=4, epochs=20, learning_rate=0.005).fit(data.X_train, data.y_train)
    assert model.score(data.X_test, data.y_test) > 0.9
    assert model.n_features_in_ == 8
    assert model.network_.steps == 4


def test_columns_of_different_size_are_learnt(iris):
    X, y = iris[0] * [1, 1e4, 1e-4, 1] + [0, 1e5, 0, 0], iris[1]
    assert classifier("ht", epochs=30).fit(X, y).score(X, y) > 0.93


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 60])
def test_vectors_of_one_and_of_many_columns(kind, size, rng):
    X = rng.standard_normal((96, size))
    model = classifier(kind, epochs=60 if size == 1 else 2, learning_rate=0.02 if size == 1 else 0.005)
    model.fit(X, X[:, 0] > 0.3)
    assert np.isfinite(model.history_.losses).all()
    assert model.history_.losses[-1] < model.history_.losses[0]
    assert size == 60 or model.score(X, X[:, 0] > 0.3) > 0.95


@pytest.mark.parametrize(
    "options", [{}, {"kind": "tt", "equal_cores": True}, {"kind": "ht", "tree": ((0, 2), 1)}, {"shared": False}]
)
def test_sequences_are_learnt(sequences, options):
    X, y = sequences
    model = classifier(**{"learning_rate": 0.01, "epochs": 30, **options}).fit(X, y)
    assert model.score(X, y) > 0.9
    assert list(model.classes_) == ["first", "second"]


# --- the network -------------------------------------------------------------------------------------------------


def test_the_network_works_on_standardised_sequences(sequences, tmp_path):
    X, y = sequences
    model = classifier().fit(X, y)
    inputs = model.inputs(X)
    np.testing.assert_allclose([inputs.mean((0, 1)), inputs.std((0, 1))], [[0, 0], [1, 1]], atol=1e-12)
    scores = model.network_(inputs)
    np.testing.assert_allclose(model.decision_function(X), scores[:, 1] - scores[:, 0])
    model.network_.save(tmp_path / "net.tna")
    np.testing.assert_array_equal(tna.load(tmp_path / "net.tna")(inputs), scores)


def test_the_network_works_on_what_inputs_gives(iris, rng):
    model = classifier().fit(*iris)
    X = model.inputs(iris[0])
    assert X.shape == (150, 4, 1)
    np.testing.assert_allclose(X.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(X.std(0), 1)
    np.testing.assert_array_equal(model.network_(X).argmax(1), model.predict(iris[0]))
    images = rng.random((20, 6, 6, 3))
    model = classifier("tt", patch_size=3, order="hilbert").fit(images, np.arange(20) % 2)
    cut = tna.training.patches(images, 3, order="hilbert")
    np.testing.assert_array_equal(model.inputs(images), (cut - model.mean_) / model.scale_)


def test_scores_do_not_depend_on_the_scale_of_sequences(sequences):
    X, y = sequences
    a, b = classifier().fit(X, y), classifier().fit(X / 1000 - 3, y)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X / 1000 - 3), rtol=1e-6)
    raw = classifier(standardize=False).fit(X / 1000, y)
    assert (raw.mean_.tolist(), raw.scale_.tolist()) == ([0, 0], [1, 1])


def test_single_precision_stays(sequences):
    X, y = sequences
    model = classifier().fit(X.astype(np.float32), y)
    assert model.network_.dtype == model.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert regressor().fit(X[:, 0].astype(np.float32), X[:, 1, 0]).network_.dtype == np.float32


def test_numbers_are_in_double_precision_whatever_the_inputs_are(rng):
    X = rng.standard_normal((200, 2)).astype(np.float32)
    y = 1e8 + abs(X[:, 0]).astype(float)
    model = regressor("ht", epochs=30).fit(X, y)
    assert model.predict(X).dtype == model.target_mean_.dtype == model.target_scale_.dtype == np.float64
    assert model.score(X, y) > 0.8


# --- scores and numbers ------------------------------------------------------------------------------------------


def test_probabilities_sum_to_one_and_do_not_overflow(iris):
    X, y = iris
    model = classifier().fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    np.testing.assert_allclose(np.log(model.predict_proba(X)), model.predict_log_proba(X))
    assert np.isfinite(model.predict_log_proba(X * 1e6)).all()
    assert model.decision_function(X).shape == (150, 3)


def test_one_class_and_one_row():
    model = classifier().fit(np.ones((1, 3)), ["only"])
    assert model.predict(np.zeros((2, 3))).tolist() == ["only", "only"]
    assert model.predict_proba(np.zeros((2, 3))).tolist() == [[1], [1]]
    np.testing.assert_allclose(regressor(epochs=50).fit([[1.0, 2.0]], [5.0]).predict([[1.0, 2.0]]), 5, rtol=0.1)


def test_several_numbers_at_once(rng):
    X = rng.standard_normal((100, 2))
    y = np.stack([X[:, 0], 100 * X[:, 1] + 7], 1)
    model = regressor("ht", epochs=40).fit(X, y)
    assert model.predict(X).shape == (100, 2)
    assert model.score(X, y) > 0.9
    assert regressor().fit(X, y[:, :1]).predict(X).shape == (100, 1)
    assert regressor().fit(X, y[:, 0]).predict(X).shape == (100,)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_rows_of_weight_zero_are_left_out(iris, make):
    X, y = iris
    weight = np.where(y == 2, 0.0, 1.0 + np.arange(150) % 3)
    a, b = make().fit(X, y, weight), make().fit(X[y < 2], y[y < 2], weight[y < 2])
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    if make is classifier:
        assert a.classes_.tolist() == [0, 1]


# --- conventions -------------------------------------------------------------------------------------------------


def test_random_states(iris):
    X, y = iris

    def scores(state):
        return classifier(epochs=1, random_state=state).fit(X, y).decision_function(X)

    np.testing.assert_array_equal(scores(3), scores(3))
    np.testing.assert_array_equal(scores(3), scores(np.random.RandomState(3)))
    state = np.random.RandomState(3)
    assert not np.array_equal(scores(state), scores(state))
    assert not np.array_equal(scores(None), scores(None))


def test_copies_pickles_pipelines_and_searches(iris):
    X, y = iris
    model = classifier("ht", epochs=10, optimizer=tna.Adam(0.02))
    fitted = clone(model).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    assert cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=2).mean() > 0.8
    search = GridSearchCV(model, {"kind": ["ht", "tt"], "rank": [2, 4]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8


def test_a_warm_start_goes_on(sequences):
    X, y = sequences
    model = classifier(warm_start=True, learning_rate=0.005).fit(X, y)
    before = model.history_.losses
    assert model.fit(X, y).history_.losses[0] < before[0]
    assert model.history_.losses[-1] < before[-1]
    with pytest.raises(DataError, match=r"labels \['third'\], which are none of the classes \['first', 'second'\]"):
        model.fit(X, np.where(y == "first", "third", y))


@pytest.mark.parametrize("shape", [(60, 3), (60, 2, 3)])
def test_parts_are_learnt_one_after_the_other(rng, shape):
    X = 5 + 3 * rng.standard_normal(shape)
    y = (X.reshape(60, -1)[:, 0] > 5).astype(int)
    model = classifier(learning_rate=0.02)
    for _ in range(30):
        model.partial_fit(X[:32], y[:32], classes=[0, 1]).partial_fit(X[32:], y[32:])
    assert model.score(X, y) > 0.95
    assert [epoch.epoch for epoch in model.history_.epochs] == list(range(1, 61))
    assert model.history_.epochs[-1].steps == model.n_iter_ == 60
    number = regressor(learning_rate=0.02)
    for _ in range(40):
        number.partial_fit(X, y)
    assert number.score(X, y) > 0.5


def test_patience_ends_a_training(iris):
    model = classifier(epochs=200, validation_fraction=0.2, patience=2, learning_rate=0.05).fit(*iris)
    assert model.n_iter_ < 200
    assert model.history_.epochs[0].validation_loss is not None


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"kind": "mera"}, UnknownNameError, "unknown kind 'mera'; known: cp, tt, ht"),
        ({"equal_cores": True}, TrainingError, "equal_cores is for kind='tt'"),
        ({"tree": (0, 1)}, TrainingError, "tree is for kind='ht'"),
        ({"patience": 2}, TrainingError, "validation_fraction=0.1"),
        ({"epochs": 0}, TrainingError, "epochs must be a positive integer; got 0"),
        ({"batch_size": 0}, TrainingError, "batch_size must be a positive integer; got 0"),
        ({"learning_rate": -1}, TrainingError, "start > 0"),
        ({"patch_size": 2}, DataError, "images have shape"),
        ({"stride": 2}, DataError, "stride=2 and order='rows' are of patches, and there are none: give their size"),
        ({"xi": "nothing"}, UnknownNameError, "nothing"),
    ],
)
def test_wrong_options_are_refused(iris, options, error, text):
    with pytest.raises(error, match=text):
        classifier(**options).fit(*iris)


def test_wrong_data_is_refused(iris, rng):
    X, y = iris
    model = classifier(epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(np.full((1, 4), np.nan))
    with pytest.raises(ValueError, match="X has 3 features, but TensorNetworkClassifier is expecting 4"):
        model.predict(X[:, :3])
    with pytest.raises(AxisMismatchError, match=r"a row of X has shape \(4, 1\); the estimator was fitted on \(4,\)"):
        model.predict(X[:, :, None])
    with pytest.raises(DataError, match="images need patch_size"):
        classifier().fit(rng.random((4, 2, 2, 3)), [0, 1, 0, 1])
    with pytest.raises(TrainingError, match="sample_weight must not be negative"):
        classifier().fit(X, y, -np.ones(150))
    with pytest.raises(ValueError, match=r"(?i)weight"):
        classifier().fit(X, y, np.zeros(150))
    with pytest.raises(DataError, match="the first call of partial_fit needs the classes"):
        classifier().partial_fit(X, y)
    with pytest.raises(DataError, match=r"labels \[2\], which are none of the classes \[0, 1\]"):
        classifier().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(DataError, match=r"classes are \[0, 1\], in the first call they were \[0, 1, 2\]"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(AxisMismatchError, match=r"a row of y has shape \(1,\); the estimator was fitted on \(\)"):
        regressor(epochs=1).fit(X, y).partial_fit(X, y[:, None])


@pytest.mark.parametrize("model", [classifier(), regressor()], ids=["classifier", "regressor"])
def test_what_is_not_fitted_says_so(model):
    for method in ("predict", "inputs"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(model, method)([[1.0]])


def test_without_scikit_learn_an_estimator_can_be_imported_and_its_use_says_what_to_install():
    code = (
        "import sys; sys.modules['sklearn.base'] = None\n"
        "from tnalgebra import *\n"
        "import tnalgebra\n"
        "def subclass(): type('Mine', (TensorNetworkRegressor,), {})\n"
        "for use in (TensorNetworkClassifier, lambda: TensorNetworkRegressor('tt', rank=3), subclass):\n"
        "    try: use()\n"
        "    except TnAlgebraError as error: print(error)\n"
        "try: tnalgebra.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    need = "needs scikit-learn 1.6 or later: pip install 'tnalgebra[learn]'"
    assert run.stdout.splitlines() == [
        *(f"TensorNetwork{name} {need}" for name in ("Classifier", "Regressor", "Regressor")),
        "module 'tnalgebra' has no attribute 'nothing'",
    ]


def test_one_step_is_a_step_and_a_fit_that_fails_changes_nothing():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    y = (X[:, 0] > 0).astype(int)
    model = tna.TensorNetworkClassifier(epochs=1, random_state=0).fit(X, y)
    assert model.history_.epochs[0].learning_rate > 0
    before = model.predict_proba(X)
    model.set_params(batch_size=0)
    with pytest.raises(TrainingError, match="batch_size must be a positive integer; got 0"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(TrainingError, match="batch_size must be a positive integer"):
        (fresh := tna.TensorNetworkClassifier(batch_size=0)).fit(X, y)
    assert not hasattr(fresh, "network_")


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e160, 1e300])
def test_numbers_of_any_scale_are_learnt(scale, rng):
    X = rng.standard_normal((120, 3))
    y = X[:, 0] > 0
    near = classifier("tt", epochs=20).fit(X, y)
    far = classifier("tt", epochs=20).fit(X * scale, y)
    np.testing.assert_allclose(far.predict_proba(X * scale), near.predict_proba(X), rtol=1e-6)
    model = tna.TensorNetworkRegressor(epochs=20, random_state=0)
    expected = model.fit(X, X[:, 0]).predict(X)
    np.testing.assert_allclose(model.fit(X, X[:, 0] * scale).predict(X) / scale, expected, rtol=1e-6)


def test_a_column_that_never_changes_does_no_harm_in_single_precision(sequences):
    X = sequences[0].astype(np.float32)
    X[:, :, 1] = 1.7e9
    y = X[:, 0, 0] > 0
    model = classifier(epochs=60).fit(X, y)
    assert model.score(X, y) == model.history_.epochs[-1].accuracy > 0.95


def test_a_call_that_fails_draws_no_random_numbers(iris):
    plain, other = (classifier().partial_fit(*iris, classes=[0, 1, 2]) for _ in range(2))
    other.set_params(batch_size=0)
    with pytest.raises(TrainingError, match="batch_size"):
        other.partial_fit(*iris)
    other.set_params(batch_size=plain.batch_size)
    for model in (plain, other):
        model.partial_fit(*iris)
    np.testing.assert_array_equal(plain.predict_proba(iris[0]), other.predict_proba(iris[0]))
