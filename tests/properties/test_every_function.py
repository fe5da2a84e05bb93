"""What holds for every public function: a user's np.seterr disturbs none, and none ends where gesdd does."""

import inspect

import numpy as np
import pytest
import scipy.linalg

import lowrank as lr


def calls(A, rng=0):
    """name -> a call of every public function of matrices, for a real matrix A with more rows than columns."""
    n = A.shape[1]
    top = np.abs(A).max() or 1
    S = A[:n] / top @ (A[:n] / top).T
    S = ((S + S.T) / 2 * top).astype(A.dtype)
    G = A[:, ::-1]
    x = A[0]
    small = A / (np.abs(A).sum() or 1)
    L, R = A[:12].reshape(-1)[:12].reshape(3, 2, 2, 1), A[:3].reshape(2, 3, 1, 3)
    exp = np.exp
    return {
        "penrose_residuals": lambda: lr.penrose_residuals(A, A.T),
        "pinv": lambda: lr.pinv(A),
        "pinv hermitian": lambda: lr.pinv(S, hermitian=True),
        "best_factor": lambda: lr.best_factor(A, left=A[:, :2], right=A[:2]),
        "pinv_newton_schulz": lambda: lr.pinv_newton_schulz(A),
        "embedding_distortion": lambda: lr.embedding_distortion(lr.subspace_embedding(24, len(A), rng=rng), A),
        "leverage_scores": lambda: lr.leverage_scores(A),
        "subspace_embedding": lambda: lr.subspace_embedding(24, len(A), rng=rng),
        "sketched_lstsq": lambda: lr.sketched_lstsq(A, A[:, 0], rng=rng),
        "choose_rank": lambda: lr.choose_rank(A, A[:, 0] + top / 8),
        "hard_threshold": lambda: lr.hard_threshold(A.shape),
        "signal_rank": lambda: lr.signal_rank(A),
        "wedin_bound": lambda: lr.wedin_bound(A, lr.truncated_svd(A, 2)),
        "truncated_svd": lambda: lr.truncated_svd(A, 2),
        "truncated_svd tol": lambda: lr.truncated_svd(A, tol=0.1),
        "randomized_svd": lambda: lr.randomized_svd(A, 2, rng=rng),
        "randomized_svd krylov": lambda: lr.randomized_svd(A, 2, method="krylov", rng=rng),
        "estimate_error": lambda: lr.estimate_error(A, G, rng=rng),
        "estimate_error 2": lambda: lr.estimate_error(A, G, norm=2, rng=rng),
        "range_finder": lambda: lr.range_finder(A, tol=0.1, rng=rng),
        "range_finder rank": lambda: lr.range_finder(A, rank=2, rng=rng),
        "cr_multiply": lambda: lr.cr_multiply(A, A.T, 2, return_info=True, rng=rng),
        "cr_multiply topk": lambda: lr.cr_multiply(A, A.T, 2, method="topk", return_info=True),
        "cr_weights": lambda: lr.cr_weights(A, A.T, [0, 1]),
        "interp_decomp": lambda: lr.interp_decomp(A, 2),
        "interp_decomp sketch": lambda: lr.interp_decomp(A, 2, method="sketch", rng=rng),
        "interp_decomp tol": lambda: lr.interp_decomp(A, tol=0.1, method="sketch", rng=rng),
        "maxvol": lambda: lr.maxvol(A),
        "cur": lambda: lr.cur(A, 2, rng=rng),
        "cur deim": lambda: lr.cur(A, 2, select="deim", rng=rng),
        "cur leverage": lambda: lr.cur(A, 2, select="leverage", core="cross", rng=rng),
        "cur ridge": lambda: lr.cur(A, 2, select="ridge", rng=rng),
        "cur norm": lambda: lr.cur(A, 2, select="norm", rng=rng),
        "aca": lambda: lr.aca(A, tol=0.1, rng=rng),
        "rpcholesky": lambda: lr.rpcholesky(S, 2, rng=rng),
        "nystrom": lambda: lr.nystrom(S, 2, rng=rng),
        "CURIndex": lambda: lr.CURIndex.fit(A, 2, rng=rng),
        "CURIndex query": lambda: lr.CURIndex.fit(A, 2, rng=rng).query(x[:2], 3),
        "remez": lambda: lr.remez(exp, 3),
        "alternation_points": lambda: lr.alternation_points(exp, np.cos, 2),
        "pade_step": lambda: lr.pade_step(5),
        "schatten_norm": lambda: lr.schatten_norm(A, 4),
        "polar_residuals": lambda: lr.polar_residuals(A, G),
        "sqrtm_newton_schulz": lambda: lr.sqrtm_newton_schulz(S),
        "optimal_msign_schedule": lambda: lr.optimal_msign_schedule(2),
        "best_degrees": lambda: lr.best_degrees(6),
        "apply_schedule": lambda: lr.apply_schedule(small, lr.optimal_msign_schedule(2)),
        "msign": lambda: lr.msign(A),
        "msign svd": lambda: lr.msign(A, method="svd"),
        "msign qdwh": lambda: lr.msign(A, method="qdwh"),
        "msign_jvp": lambda: lr.msign_jvp(A, G),
        "msign_vjp": lambda: lr.msign_vjp(A, G),
        "svfun": lambda: lr.svfun(A, np.sqrt),
        "svfun_jvp": lambda: lr.svfun_jvp(A, G, np.square, lambda s: 2 * s),
        "svfun_vjp": lambda: lr.svfun_vjp(A, G, np.square, lambda s: 2 * s),
        "mclip": lambda: lr.mclip(A, 0.5),
        "mstep": lambda: lr.mstep(A, 0.5),
        "spectral_norm": lambda: lr.spectral_norm(A),
        "spectral_norm power": lambda: lr.spectral_norm(A, method="power", rng=rng),
        "spectral_norm_grad": lambda: lr.spectral_norm_grad(A),
        "nuclear_norm": lambda: lr.nuclear_norm(A),
        "nuclear_norm_grad": lambda: lr.nuclear_norm_grad(A),
        "spectral_decay": lambda: lr.spectral_decay(A, 0.1),
        "muon_update": lambda: lr.muon_update(A),
        "Muon": lambda: lr.Muon().step([A], [G], lr.Muon().init([A])),
        "softmax": lambda: lr.softmax(x),
        "softmax_vjp": lambda: lr.softmax_vjp(x, x),
        "sparsemax": lambda: lr.sparsemax(x),
        "sparsemax_vjp": lambda: lr.sparsemax_vjp(x, x),
        "entmax": lambda: lr.entmax(x),
        "entmax_vjp": lambda: lr.entmax_vjp(x, x),
        "soft_topk": lambda: lr.soft_topk(x, 2),
        "soft_topk_vjp": lambda: lr.soft_topk_vjp(x, 2, x),
        "soft_topk_jvp": lambda: lr.soft_topk_jvp(x, 2, x),
        "sample_topk": lambda: lr.sample_topk(x, 2, rng=0),
        "sample_topk gumbel": lambda: lr.sample_topk(x, 2, law="gumbel", rng=0),
        "rotation_between": lambda: lr.rotation_between(A[1], A[2]),
        "reflection_between": lambda: lr.reflection_between(A[1], A[2]),
        "rotate": lambda: lr.rotate(A, A[1], A[2]),
        "rotate fraction": lambda: lr.rotate(A, A[1], A[2], fraction=0.5),
        "reflect": lambda: lr.reflect(A, A[1], A[2]),
        "vq_assign": lambda: lr.vq_assign(A, A[::5]),
        "rotation_trick": lambda: lr.rotation_trick(A, G, A[::-1]),
        "pass_through": lambda: lr.pass_through(A, G),
        "vq_gradient": lambda: lr.vq_gradient(A, A[:3], np.arange(len(A)) % 3),
        "simvq_step": lambda: lr.simvq_step(A, small[:n], G, lr=0.5, train_codes=True),
        "codebook_usage": lambda: lr.codebook_usage(np.arange(12) % 5, 8),
        "topk_temperature": lambda: lr.topk_temperature(x, 2),
        "monarch_project": lambda: lr.monarch_project(A, (2, 8), 2),
        "monarch_dense": lambda: lr.monarch_dense(*lr.monarch_project(A, (2, 8))),
        "monarch_matmul": lambda: lr.monarch_matmul(*lr.monarch_project(A, (2, 8)), A.T),
        "monarch_solve": lambda: lr.monarch_solve(L, R, A[:6]),
        "monarch_slogdet": lambda: lr.monarch_slogdet(L, R),
        "monarch_options": lambda: lr.monarch_options(A, 100),
        "dft_monarch": lambda: lr.dft_monarch(12),
        "linear_attention": lambda: lr.linear_attention(A, G, A[:, :2], features="elu", normalize=True),
        "linear_attention causal": lambda: lr.linear_attention(A, G, A[:, :2], True, chunk=8, decay=0.5),
        "random_features": lambda: lr.random_features(A, G, shift="row"),
        "transformer_macs": lambda: lr.transformer_macs(40, 6),
        "attention_crossover": lambda: lr.attention_crossover(6),
        "hippo_legs": lambda: lr.hippo_legs(n),
        "hippo_legt": lambda: lr.hippo_legt(n, 2.0),
        "hippo_fourier": lambda: lr.hippo_fourier(n),
        "hippo_fourier window": lambda: lr.hippo_fourier(n, 2.0),
        "discretize": lambda: lr.discretize(small[:n], small[n], 0.5),
        "discretize bilinear": lambda: lr.discretize(small[:n], small[n], 0.5, "bilinear"),
        "legs_project": lambda: lr.legs_project(A.T, 4),
        "legs_update": lambda: lr.legs_update(A[:2], 3, A[2:4]),
        "legs_stream": lambda: lr.legs_stream(A.T, 4, block=16),
        "legs_stream bilinear": lambda: lr.legs_stream(x, 4, method="bilinear", block=2),
        "hippo_nplr": lambda: lr.hippo_nplr(n),
        "causal_convolution": lambda: lr.causal_convolution(A.T, x),
        "s4_discretize": lambda: lr.s4_discretize(-abs(x), small[0], small[1], x, 0.5),
        "s4_step": lambda: lr.s4_step(x, 1.0, -abs(x), small[0], small[1], x, 0.5),
        "s4_kernel": lambda: lr.s4_kernel(-abs(x), small[0], small[1], x, x, 90, 0.5),
        "s4_kernel series": lambda: lr.s4_kernel(-abs(x), small[0], small[1], x, x, 90, 0.5, method="series"),
        "s4_kernel cauchy": lambda: lr.s4_kernel(-abs(x), small[0], small[1], x, x, 90, 0.5, method="cauchy"),
        "s4d_kernel": lambda: lr.s4d_kernel(-abs(x), x, x, 90, 0.5),
        "s4d_kernel bilinear": lambda: lr.s4d_kernel(-abs(x), x, x, 90, 0.5, method="bilinear"),
        "s4d_frequencies": lambda: lr.s4d_frequencies(n),
        "legendre_reconstruct": lambda: lr.legendre_reconstruct(A, [0.0, 0.3, 1.0]),
        "legs_matvec": lambda: lr.legs_matvec(A),
        "legs_solve": lambda: lr.legs_solve(A, 0.5),
        "attention_matrix": lambda: lr.attention_matrix(A, G),
        "rope_canonical": lambda: lr.rope_canonical(A[:n] - A[:n].T),
        "rope_frequencies": lambda: lr.rope_frequencies(8),
        "rope_matrix": lambda: lr.rope_matrix(3, lr.rope_frequencies(4)),
        "rope_permutation": lambda: lr.rope_permutation(8),
        "rope_rotate": lambda: lr.rope_rotate(A[:, :2], np.arange(len(A)), lr.rope_frequencies(2)),
        "yarn_attention_factor": lambda: lr.yarn_attention_factor(4),
        "rope_tie_positions": lambda: lr.rope_tie_positions([3, (2, 4), 2]),
        "position_gaps": lambda: lr.position_gaps(lr.rope_tie_positions([3, (2, 4), 2]), [3, (2, 4), 2]),
        "kv_cache_per_token": lambda: lr.kv_cache_per_token("mla", rank=4),
        "joint_kv_compress": lambda: lr.joint_kv_compress(A, G, 2, A[:, :1] * np.ones(len(A), A.dtype) / top),
        "kv_factors_of_gqa": lambda: lr.kv_factors_of_gqa(A, G, rtol=1e-3),
        "mla_attention": lambda: lr.mla_attention(A, np.ones((2, n, 2)), S / top, *np.ones((2, 1, n, 3))[..., :2]),
        "mla_cache": lambda: lr.mla_cache(A, S / top),
        "mla_decode": lambda: lr.mla_decode(A[:4], G, *np.ones((2, 2, n, n)) / n),
        "identity_distillation_losses": lambda: lr.identity_distillation_losses(A, G, A[::-1], lambda x: x / 2),
        "route": lambda: lr.route(A, 2, bias=x),
        "expert_load": lambda: lr.expert_load(A, 2, bias=x),
        "loss_free_bias": lambda: lr.loss_free_bias(A, 2, 3, 0.1, bias=x),
        "loss_free_bias rms": lambda: lr.loss_free_bias(A, 2, 3, 0.1, rule="rms"),
        "loss_free_bias quantile": lambda: lr.loss_free_bias(A, 2, 3, rule="quantile"),
        "shared_expert_scale": lambda: lr.shared_expert_scale(n, 3, 1, samples=10, rng=rng),
        "noise_scale": lambda: lr.noise_scale(x, S, np.eye(n, dtype=A.dtype)),
        "simple_noise_scale": lambda: lr.simple_noise_scale(A),
        "optimal_lr_sgd": lambda: lr.optimal_lr_sgd(x, S, np.eye(n, dtype=A.dtype), 4),
        "optimal_lr_sign": lambda: lr.optimal_lr_sign(x, abs(A[1]), np.eye(n, dtype=A.dtype), 4),
        "optimal_lr_sign correlated": lambda: lr.optimal_lr_sign(x, S, np.eye(n, dtype=A.dtype), 4),
        "softsign_mean": lambda: lr.softsign_mean(A, abs(G), 4, top / 3),
        "softsign_second": lambda: lr.softsign_second(A, abs(G), 4, top / 3),
        "optimal_lr_softsign": lambda: lr.optimal_lr_softsign(x, abs(A[1]), np.eye(n, dtype=A.dtype), 4, top / 3),
        "geometric_vs_poisson": lambda: lr.geometric_vs_poisson(abs(small), 3),
        "sign_update_mean": lambda: lr.sign_update_mean(A, abs(G), 4),
        "sign_update_second": lambda: lr.sign_update_second(x, S, 4),
        "attention_slogdet": lambda: lr.attention_slogdet(A, G, causal=True),
        "nystrom_attention": lambda: lr.nystrom_attention(A, G, A, 3),
        "nystrom_attention fitted": lambda: lr.nystrom_attention(A, G, A, 3, core="fitted", rng=rng),
        "nystrom_attention steps": lambda: lr.nystrom_attention(A, G, A, 3, core="steps"),
        "attention_error": lambda: lr.attention_error(A, G, A, A, rng=rng),
        "numerical_rank": lambda: lr.numerical_rank(A),
        "effective_rank": lambda: lr.effective_rank(A),
        "rank_collapse": lambda: lr.rank_collapse(A),
        "tangent_share": lambda: lr.tangent_share(A[:, :2], A[:2], A),
        "lora_ga_init": lambda: lr.lora_ga_init(A, 2),
        "pissa_init": lambda: lr.pissa_init(A, 2),
        "lora_scale": lambda: lr.lora_scale(n, 2.0),
        "lora_pro_gradients": lambda: lr.lora_pro_gradients(A[:, :2], A[:2], G[:, :2], G[:2]),
        "lora_pro_gradients symmetric": lambda: lr.lora_pro_gradients(A[:, :2], A[:2], G[:, :2], G[:2], "symmetric"),
        "lora_muon_gradients": lambda: lr.lora_muon_gradients(A[:, :2], A[:2], G[:, :2], G[:2]),
        "lora_retract": lambda: lr.lora_retract(A[:, :2], A[:2], G[:, :2], G[:2], 0.1),
        "gaussian_velocity": lambda: lr.gaussian_velocity(small, 0.5, small[0], S / top, factors=True),
        "gaussian_mean_velocity": lambda: lr.gaussian_mean_velocity(A, 0.25, 0.5, x, S),
        "gaussian_w2": lambda: lr.gaussian_w2(x, S, x[::-1], S),
        "gaussian_w2 factors": lambda: lr.gaussian_w2(A[:, 0], A, G[:, 0], G, factors=True, noise=(0.0, 0.0)),
        "gaussian_w2_grad": lambda: lr.gaussian_w2_grad(x, S, x[::-1], S),
        "gaussian_map": lambda: lr.gaussian_map(A[:, 0], A, G[:, 0], G[:, :2], factors=True),
        "gaussian_kl": lambda: lr.gaussian_kl(x, S, x[::-1], S),
        "gaussian_bhattacharyya": lambda: lr.gaussian_bhattacharyya(A[:, 0], A, G[:, 0], G, factors=True),
        "gaussian_fisher": lambda: lr.gaussian_fisher(x, S, x[::-1], S),
        "gaussian_barycenter": lambda: lr.gaussian_barycenter(A[:, :2].T, [A, G], steps=3),
        "frechet_distance": lambda: lr.frechet_distance(A, G, return_bias=True),
        "curvature_from_gradients": lambda: lr.curvature_from_gradients(A, centered=True),
        "curvature_from_gradients diagonal": lambda: lr.curvature_from_gradients(A, diagonal=True),
        "whiten_gradient": lambda: lr.whiten_gradient(A, x),
        "whiten_gradient eps": lambda: lr.whiten_gradient(A, G, eps=0.1),
        "nearest_kronecker": lambda: lr.nearest_kronecker(A[:12].reshape(12, 2, -1)),
        "nearest_kronecker kl": lambda: lr.nearest_kronecker(A[:12].reshape(12, 2, -1), divergence="kl"),
    }


def ordinary(dtype=float):
    return (np.random.default_rng(0).standard_normal((40, 6)) * 0.3 ** np.arange(6)).astype(dtype)


def extreme():
    """Matrices in whose formulas numbers under- or overflow, or are divided by 0."""
    A = ordinary()
    tiny, huge, mixed, zeros = 1e-300 * A, 1e300 * A, A * 10.0 ** -np.arange(0, 300, 50), A.copy()
    zeros[:, 3:] = 0
    single = (A * 10.0 ** -np.arange(0, 42, 7)).astype(np.float32)
    return {"tiny": tiny, "huge": huge, "mixed": mixed, "zeros": zeros, "zero": 0 * A, "single": single}


NAMES = sorted(calls(ordinary()))


def outcome(call):
    """What a call returns, or the refusal in words; FloatingPointError is no refusal."""
    try:
        return call()
    except (ValueError, TypeError, np.linalg.LinAlgError) as error:
        return str(error)


@pytest.mark.parametrize("kind", ["ordinary", *extreme()])
@pytest.mark.parametrize("name", NAMES)
def test_a_users_error_state_disturbs_nothing(name, kind):
    """np.seterr(all="raise") is for the user's own formulas; the setting is the same afterwards."""
    A = ordinary() if kind == "ordinary" else extreme()[kind]
    with np.errstate(all="ignore"):
        call = calls(A)[name]
    with np.errstate(all="raise"):
        found = outcome(call)
        assert set(np.geterr().values()) == {"raise"}
    if kind == "ordinary":
        assert not isinstance(found, str), found


def equal(X, Y, atol):
    if isinstance(X, np.ndarray) and X.dtype.kind in "fc":
        np.testing.assert_allclose(X, Y, rtol=1e-6, atol=atol)
    elif isinstance(X, tuple):
        for a, b in zip(X, Y, strict=True):
            equal(a, b, atol)


@pytest.mark.parametrize("name", [name for name in NAMES if name.split()[0] not in ("remez", "alternation_points")])
def test_where_gesdd_fails_gesvd_answers(name, monkeypatch):
    """On some matrices LAPACK's divide and conquer does not converge. Its older sibling is slower and does."""
    call, failed = calls(ordinary())[name], []
    expected = call()

    def gesdd_fails(*args, **kwargs):
        failed.append(args)
        raise np.linalg.LinAlgError("SVD did not converge")

    older = scipy.linalg.svd

    def svd(*args, lapack_driver="gesdd", **kwargs):
        return older(*args, lapack_driver=lapack_driver, **kwargs) if lapack_driver == "gesvd" else gesdd_fails()

    for module in (np.linalg, np.linalg._linalg):
        for which in ("svd", "svdvals"):
            monkeypatch.setattr(module, which, gesdd_fails)
    for which in ("pinv", "lstsq", "matrix_rank", "cond"):          # which would call it where nobody sees it
        monkeypatch.setattr(np.linalg, which, gesdd_fails)
    for module in (scipy.linalg, scipy.linalg._decomp_svd):
        monkeypatch.setattr(module, "svd", svd)
        monkeypatch.setattr(module, "svdvals", gesdd_fails)
    found = call()
    if hasattr(expected, "reconstruct"):
        np.testing.assert_allclose(found.reconstruct(), expected.reconstruct(), rtol=1e-6, atol=1e-6)
    elif name in ("pinv", "msign svd", "spectral_norm", "nuclear_norm", "best_factor"):
        equal(found, expected, 1e-6)


def takes_rng(name):
    function = getattr(lr, name.split()[0])
    return "rng" in inspect.signature(getattr(function, "fit", function)).parameters


@pytest.mark.parametrize("name", [name for name in calls(ordinary()) if name != "Muon" and takes_rng(name)])
def test_the_older_kind_of_generator_is_taken(name):
    """A RandomState, as scikit-learn hands it on: its state decides, and the global one is left alone."""
    A, before = ordinary(), np.random.get_state()[1].copy()
    first, second = (calls(A, np.random.RandomState(3))[name]() for _ in range(2))
    equal(first, second, 0)
    assert np.array_equal(np.random.get_state()[1], before)
    calls(A, np.random.Generator(np.random.MT19937(3)))[name]()


def test_the_list_is_complete():
    """A new public function of matrices or vectors belongs into `calls`."""
    def is_function(value):
        return callable(value) and not isinstance(value, type)

    listed = {name.split()[0] for name in calls(ordinary())}
    assert {name for name in lr.__all__ if is_function(getattr(lr, name))} <= listed


@pytest.mark.parametrize("dtype, largest", [(np.float64, 1.5e308), (np.float32, 3e38)])
@pytest.mark.parametrize("find", [
    lambda A: lr.truncated_svd(A, 2), lambda A: lr.truncated_svd(A, tol=0.1), lambda A: lr.truncated_svd(A[None], 2),
    lambda A: lr.randomized_svd(A, 2, rng=0), lambda A: lr.randomized_svd(A, 2, method="krylov", rng=0), lr.signal_rank,
])
def test_singular_values_that_overflow_are_refused(find, dtype, largest):
    """A factor that is Inf would multiply to NaN."""
    with pytest.raises(ValueError, match=f"A is so large that its singular values overflow {np.dtype(dtype)}; multiply"):
        find(np.full((40, 6), largest, dtype))


def test_what_is_in_range_is_found_where_norms_are_not():
    """Entries near the largest number: coefficients and weights are in its range, though norms are not."""
    B = ordinary() / np.abs(ordinary()).max()
    A = B * 1.5e308
    assert lr.spectral_norm(A) == np.inf
    for W in (A, A * 10.0 ** -np.arange(0, 300, 50)):
        assert lr.maxvol(W).rows.tolist() == lr.maxvol(B).rows.tolist()
    np.testing.assert_allclose(lr.maxvol(A).B, lr.maxvol(B).B, atol=1e-12)
    np.testing.assert_allclose(lr.spectral_decay(A, 0.1) / 1.5e308, lr.spectral_decay(B, 0.1), atol=1e-14)
