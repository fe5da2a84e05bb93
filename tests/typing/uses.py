"""Every public function and class of `lowrank`, used as its users do: with arrays, lists, numbers of NumPy, and results.

Type checkers have to accept this file (test_types.py), and it runs. A new public name is used here once.
"""

from fractions import Fraction

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import lowrank

rng = np.random.default_rng(0)
A = rng.standard_normal((12, 8))
rows_of_numbers = [[2.0, 1.0], [1.0, 3.0]]
count = np.int64(3)
zero_d = np.array(0.5)


def use_approximations() -> None:
    operator: LinearOperator = aslinearoperator(A)
    svd: lowrank.TruncatedSVD = lowrank.truncated_svd(A, count)
    U, s, Vh = svd
    assert svd.shape == A.shape and svd.rank == 3 and svd.dtype == svd.U.dtype and len(svd.s) == len(s)
    assert np.allclose(svd.reconstruct() @ A.T, svd @ A.T) and np.allclose(A.T @ svd, A.T @ (U * s) @ Vh)
    assert np.allclose(svd.reconstruct(), (svd.U * svd.s) @ svd.Vh) and svd.factors
    lowrank.truncated_svd(csr_array(A), tol=zero_d)
    assert svd.ndim == 2 and len(csr_array(A.T) @ svd) == 8 and len(svd @ csr_array(A.T)) == 12 and svd.matvec(A[0]).shape == (12,)
    halved: lowrank.TruncatedSVD = svd._replace(s=svd.s / 2)
    assert np.array_equal(2 * halved.s, lowrank.TruncatedSVD(**svd._asdict()).s)
    lowrank.truncated_svd(rows_of_numbers, rank=1)
    fast: lowrank.TruncatedSVD = lowrank.randomized_svd(operator, 2, oversample=4, n_iter=1, method="krylov", rng=count)
    estimate: lowrank.ErrorEstimate = lowrank.estimate_error(A, fast, n_probe=10, norm="fro", confidence=0.99, rng=rng)
    assert estimate.estimate <= estimate.bound and estimate.confidence == 0.99
    basis: lowrank.RangeBasis = lowrank.range_finder(A, tol=0.5, rng=None)
    assert len(basis.Q) == len(A) and basis.error <= basis.bound and basis.passes > 0
    lowrank.range_finder(A, rank=2)


def use_products() -> None:
    product, info = lowrank.cr_multiply(A, A.T, count, method="sample", p=np.full(8, 1 / 8), return_info=True, rng=0)
    chosen: lowrank.CRInfo = info
    assert product.shape == (12, 12) and len(chosen.indices) == len(chosen.weights) <= 3 and chosen.rms_error >= 0
    lowrank.cr_multiply(A, A.T, 3, method="topk")
    lowrank.cr_weights(A, A.T, [0, 1, 2])


def use_embeddings() -> None:
    S: lowrank.Embedding = lowrank.subspace_embedding(count, 12, "sparse", nonzeros=2, rng=0)
    assert S.shape == (3, 12) and (S @ A).shape == (3, 8) and np.allclose(S.toarray() @ A, S @ csr_array(A))
    scores = lowrank.leverage_scores(A)
    lowrank.subspace_embedding(9, np.int64(12), kind="rows", p=scores, rng=rng)
    assert lowrank.embedding_distortion(lowrank.Embedding(np.eye(12)), A) < 1e-12
    found: lowrank.SketchedSolution = lowrank.sketched_lstsq(A, A[:, :2], l=10, kind="gaussian", rtol=1e-12, max_iter=count, rng=0)
    assert found.x.shape == (8, 2) and len(found.residual) == 2 and found.n_iter <= 3 and found.rank == 8
    assert isinstance(found.converged, bool) and np.all(found.distance < 1)


def use_columns_and_rows() -> None:
    chosen: lowrank.InterpolativeDecomposition = lowrank.interp_decomp(A, 3, f=2, method="qr", rng=0)
    columns, Z = chosen
    assert np.array_equal(chosen.columns, columns) and np.array_equal(chosen.Z, Z) and chosen.C.shape == (12, 3)
    assert chosen.error.bound > 0 and (chosen.suboptimality is None or chosen.suboptimality > 1)
    lowrank.interp_decomp(A, tol=1e-3)
    skeleton: lowrank.CUR = lowrank.cur(A, 3, core="optimal", select="maxvol", f=1.5, rng=0)
    columns, U, rows = skeleton
    assert skeleton.C.shape[1] == len(columns) == len(skeleton.columns) and skeleton.R.shape[0] == len(rows)
    assert skeleton.CU.shape == (12, 3) and np.array_equal(skeleton.U, U) and len(skeleton.rows) == skeleton.rank
    lowrank.cur(A, rows=[0, 1], columns=np.array([2, 3]))
    cross: lowrank.CUR = lowrank.aca((lambda i: A[i], lambda j: A[:, j]), 2, shape=(12, 8), n_probe=5, rng=1)
    assert cross.error is None or cross.error.estimate > 0
    lowrank.aca(A, tol=Fraction(1, 100))
    volume: lowrank.MaxVolume = lowrank.maxvol(A[:, :3], tol=1.1)
    assert len(volume.rows) == 3 and volume.B.shape == (12, 3)


def use_kernels_and_scores() -> None:
    K = A @ A.T
    partial: lowrank.RPCholesky = lowrank.rpcholesky(K, 4, block=2, tol=0.0, rng=0)
    F, pivots = partial
    assert np.array_equal(partial.F, F) and len(partial.pivots) == len(pivots) and partial.trace_error is not None
    lowrank.rpcholesky((np.diag(K), lambda J: K[:, J]), rank=2)
    sketch: lowrank.Nystrom = lowrank.nystrom(K, 4, oversample=2, rng=0)
    assert sketch.F.shape[0] == 12 and sketch.reconstruct().shape == K.shape
    index: lowrank.CURIndex = lowrank.CURIndex.fit(A, n_anchors=3, queries=None, ridge=0.0, rng=0)
    assert index.error >= 0 and index.ridge >= 0 and index.amplification >= 1 and len(index.anchors) == len(index.Z)
    assert index.left.shape[1] == index.right.shape[0] and index.scores(A[0, index.anchors]).shape == (8,)
    best: lowrank.Ranking = index.query(A[0, index.anchors], 2)
    found: lowrank.Ranking = index.search(lambda items: A[0, items], 2, budget=np.int32(4))
    assert len(best.items) == len(best.scores) == len(found.items)
    wider: lowrank.CURIndex = index.add(rng.standard_normal((12, 1)))
    assert lowrank.CURIndex(**index._asdict()).Z.shape[1] == wider.Z.shape[1] - 1


def use_pseudo_inverse() -> None:
    X, info = lowrank.pinv(A, rtol=1e-12, atol=0.0, hermitian=False, return_info=True)
    decided: lowrank.PinvInfo = info
    assert decided.rank == 8 and decided.kept > decided.dropped
    residuals: lowrank.PenroseResiduals = lowrank.penrose_residuals(A, X)
    assert max(residuals.AXA, residuals.XAX, residuals.AX, residuals.XA) < 1e-10
    by_products: lowrank.NewtonSchulzInverse = lowrank.pinv_newton_schulz(A, order=3, tol=1e-8)
    assert by_products.converged and by_products.rank == 8 and by_products.residual < 1e-6 and by_products.steps > 0
    assert by_products.X.shape == X.shape == lowrank.pinv(A.tolist()).shape
    lowrank.best_factor(A, left=A[:, :2], right=A[:3], rtol=1e-10)


def use_ranks_under_noise() -> None:
    fit: lowrank.RankChoice = lowrank.choose_rank(A, A[:, 0], "discrepancy", noise=0.9, safety=1.5, max_rank=7, rtol=1e-12)
    assert fit.x.shape == (8,) and len(fit.residuals) == len(fit.norms) == len(fit.scores)
    several: lowrank.RankChoice = lowrank.choose_rank(A, A[:, :2], method="lcurve")
    assert np.max(several.rank) <= 6 and lowrank.hard_threshold((12, 8), 0.5) > lowrank.hard_threshold(shape=(8, 8), noise=0.5)
    signal: lowrank.SignalRank = lowrank.signal_rank(A, noise=0.1)
    assert signal.rank <= len(signal.s) and signal.noise == 0.1 and signal.threshold > signal.edge
    angles: lowrank.SubspaceBound = lowrank.wedin_bound(A, lowrank.truncated_svd(A, 2), rest=None, norm="fro")
    assert angles.bound < 1 and angles.residual < angles.gap


def use_polynomials() -> None:
    p: lowrank.Minimax = lowrank.remez(np.exp, 4, (0, 1), weight=None, odd=False, even=False, tol=1e-10, maxiter=30)
    assert p.converged and p.error <= p.max_error and p.iterations > 0 and p.roundoff < 1e-10 and len(p.points) == 6
    assert p(0.5) > 1 and len(p.coefficients) == len(p.powers()) == 5 and p.interval == (0, 1)
    levels: lowrank.Alternation = lowrank.alternation_points(np.exp, p, 4, (0, 1), samples=200)
    assert levels.lower <= levels.upper and len(levels.points) == len(levels.errors)


def use_the_matrix_sign() -> None:
    schedule: lowrank.Schedule = lowrank.optimal_msign_schedule(4, degree=5, lower=1e-2, upper=1.0, cushion=0.0, safety=0.0)
    assert len(schedule) == len(schedule.errors) == len(schedule.bounds) and schedule[0]
    lowrank.optimal_msign_schedule(degree=(3, 5), tol=1e-3, dps=20)
    assert len(lowrank.pade_step(3)) == 2 and sum(lowrank.best_degrees(6, 1e-2, degrees=[3, 5])) > 0
    X, info = lowrank.msign(A, method="polynomial", tol=1e-6, return_info=True)
    sign: lowrank.SignInfo = info
    assert sign.converged and sign.bound < 1 and sign.hermitian < 1 and sign.steps > 0 and sign.products > 0
    residuals: lowrank.PolarResiduals = lowrank.polar_residuals(A, X)
    assert residuals.orthogonality < 1 and residuals.bound < 1 and residuals.hermitian < 1
    assert residuals.backward >= 0 and residuals.smallest is not None
    lowrank.msign(A, method="polynomial", schedule=schedule)
    lowrank.apply_schedule(A, schedule, normalize="schatten4", form="gram", restart=2)
    lowrank.schatten_norm(A, 8)
    root: lowrank.NewtonSchulzRoot = lowrank.sqrtm_newton_schulz(A.T @ A / 100)
    assert root.converged and root.steps > 0 and root.residual < 1e-8 and root.root.shape == root.inverse.shape
    lowrank.msign_jvp(A, A, rtol=1e-12)
    lowrank.msign_vjp(A, A)


def use_singular_values() -> None:
    lowrank.svfun(A, np.tanh, rtol=None)
    lowrank.svfun_jvp(A, A, np.tanh, lambda s: 1 / np.cosh(s) ** 2)
    lowrank.svfun_vjp(A, A, np.tanh, lambda s: 1 / np.cosh(s) ** 2)
    lowrank.mclip(A, 0, zero_d, method="svd")
    lowrank.mstep(A, threshold=1)
    norm, info = lowrank.spectral_norm(A, method="power", tol=1e-6, steps=5000, rng=0, return_info=True)
    power: lowrank.PowerInfo = info
    assert norm > 0 and power.converged and power.steps > 0 and power.residual >= 0
    lowrank.spectral_norm_grad(A)
    assert lowrank.nuclear_norm(A) > norm and lowrank.nuclear_norm_grad(A).shape == A.shape
    lowrank.spectral_decay(A, 0.1)


def use_muon() -> None:
    step: lowrank.MuonUpdate = lowrank.muon_update(A, None, beta=0.9, nesterov=True, scale="rms", normalize="schatten4")
    lowrank.muon_update(A, step.momentum, scale=0.2)
    assert step.update.shape == A.shape
    muon = lowrank.Muon(1e-3, weight_decay=0.0, adam_lr=1e-3, betas=(0.9, 0.99), kinds=["matrix", "adamw"], beta=0.9)
    state: lowrank.MuonState = muon.init([A, A[0]])
    params, state = muon.step([A, A[0]], [A, A[0]], state, factor=0.5)
    assert len(params) == len(state.momenta) == len(state.sizes) and state.count == 1 and muon.lr == 1e-3


def use_simplex_maps() -> None:
    x = [3.0, 1.0, 2.0]
    g = np.ones(3)
    lowrank.softmax(x, temperature=zero_d, axis=-1)
    lowrank.softmax_vjp(x, g)
    lowrank.sparsemax(x, temperature=2)
    lowrank.sparsemax_vjp(x, g)
    lowrank.entmax(x, alpha=1.5)
    lowrank.entmax_vjp(x, g, alpha=1.5)
    temperature = lowrank.topk_temperature(x, 2, error=0.05)
    lowrank.soft_topk(x, 2, temperature=temperature, method="sparse", axis=np.int64(0))
    gx, gk, gT = lowrank.soft_topk_vjp(x, 2, g, method="sigmoid")
    lowrank.soft_topk_jvp(x, 2, g)
    lowrank.sample_topk(x, 2, temperature=0.5, law="gumbel", axis=-1, rng=0)


def use_linear_attention() -> None:
    Y, state = lowrank.linear_attention(A, A, A, True, chunk=2, features="elu", normalize=True, decay=zero_d, return_state=True)
    lowrank.linear_attention(Y, A, A, causal=False, features=np.tanh, state=None)
    lowrank.random_features(A, A, shift="row")
    bill = lowrank.transformer_macs(10, 4, heads=2, kv_heads=1, ffn=8 / 3, gated=True, causal=True, attention="linear", layers=2, vocab=5)
    sublayer, quadratic = lowrank.attention_crossover(768)
    assert bill["total"] > 0 and sublayer < quadratic
def use_monarch() -> None:
    M: lowrank.Monarch = lowrank.monarch_project(A, (1, 1), rank=1, side="left")
    L, R = M
    assert M.shape == A.shape and M.blocks == (1, 1) and M.rank == 1 and lowrank.Monarch(L, R).ndim == 2
    lowrank.monarch_dense(L, R)
    lowrank.monarch_matmul(L, R, A.T, adjoint=False)
    L, R, order = lowrank.dft_monarch(np.int64(12), blocks=(3, 4))
    lowrank.monarch_solve(L, R, np.ones((12, 1)), adjoint=True)
    sign, logabsdet = lowrank.monarch_slogdet(L, R)
    option: lowrank.MonarchOption = lowrank.monarch_options(A, sum(A.shape))[0]
    lowrank.monarch_project(A, option.blocks, option.rank)
    assert option.error >= 0 and option.parameters > 0
def use_structure() -> None:
    lowrank.attention_matrix(A, A, causal=True, scale=0.5, mask=np.ones((12, 12), bool))
    det: lowrank.SlogDet = lowrank.attention_slogdet(A, A, causal=True, scale=1)
    sign, logs = det
    assert det.sign == sign and det.logabsdet == logs
    lowrank.numerical_rank(A, rtol=1e-3)
    lowrank.effective_rank(A, kind="participation")
    lowrank.rank_collapse(A)
    Y, factors = lowrank.nystrom_attention(A, A, A, count, core="fitted", rtol=1e-6, rows=6, mask=None, return_factors=True, rng=0)
    thin: lowrank.NystromFactors = factors
    assert np.allclose(thin.C @ thin.Z @ thin.R @ A, Y)
    lowrank.nystrom_attention(A, A, A, ([0, 1], [2, 3]), scale=0.5, causal=False)
    lowrank.nystrom_attention(A, A, A, 3, core="steps", steps=6)
    found: lowrank.AttentionError = lowrank.attention_error(A, A, A, Y, n_probe=12, confidence=0.9, rng=0)
    assert found.error <= found.bound and found.relative >= 0 and found.confidence == 0.9
    a, b = np.ones(4), np.arange(4.0)
    R = lowrank.rotation_between(a, b, fraction=0.5)
    assert R.shape == lowrank.reflection_between(a, [1.0, 0, 0, 0]).shape
    lowrank.rotate(R, a, b, fraction=None)
    lowrank.reflect(R, a, b)


def use_vector_quantization() -> None:
    codes = A[:4]
    indices = lowrank.vq_assign(A, codes, block=count)
    g = lowrank.rotation_trick(A, codes[indices], A, rescale=False)
    assert np.array_equal(lowrank.pass_through(A, codes[indices], method="straight"), codes[indices]) and g.shape == A.shape
    G = lowrank.vq_gradient(A, codes, indices)
    E, W = lowrank.simvq_step(codes, np.eye(8), G, lr=zero_d, train_codes=True)
    assert E.shape == codes.shape and W.shape == (8, 8)
    usage: lowrank.CodebookUsage = lowrank.codebook_usage(indices, 4)
    used, perplexity = usage
    assert usage.used == used and usage.perplexity == perplexity <= 4


def use_hippo() -> None:
    u = rng.standard_normal((2, 50))
    a, b = lowrank.hippo_legs(count)
    c, d = lowrank.hippo_legt(4, window=zero_d)
    lowrank.discretize(c, d, 0.5, "bilinear")
    c, d = lowrank.hippo_fourier(4, window=2.0)
    lowrank.discretize(c, d, zero_d, method="zoh")
    x, samples = lowrank.legs_update(lowrank.legs_project(u, 3), 50, u)
    states = lowrank.legs_stream(u.tolist(), 3, method="exact", block=10)
    assert a.shape == (3, 3) and b.shape == (3,) and samples == 100 and states.shape == (2, 5, 3)
    lowrank.legendre_reconstruct(x, [0.0, 1.0])
    lowrank.legs_solve(lowrank.legs_matvec(x), lam=0.1)


def use_s4() -> None:
    Lam, P, B, V = lowrank.hippo_nplr(count)
    C = np.ones(3) @ V
    K = lowrank.s4_kernel(Lam, P, P, B, C, 100, 0.1, method="series")
    lowrank.s4_kernel(Lam, P, P, B, C, count, [0.1, 0.2], filtered=True)
    lowrank.s4d_kernel(Lam, B / 2, C, 100, zero_d, method="bilinear")
    Ab, Bb = lowrank.s4_discretize(Lam, P, P, B, np.float32(0.1))
    x = lowrank.s4_step(Bb, 1, Lam, P, P, B, 0.1)
    y = lowrank.causal_convolution(A, K)
    assert Ab.shape == (3, 3) and x.shape == (3,) and y.shape == A.shape
    assert lowrank.s4d_frequencies(4, kind="inv").shape == (4,)


def use_lora() -> None:
    L, R = lowrank.lora_ga_init(A, rank=count - 2)
    L, R, rest = lowrank.pissa_init(A, np.int64(1))
    GL, GR = rest @ R.T, L.T @ rest
    HL, HR = lowrank.lora_pro_gradients(L, R, GL, GR, mode="symmetric", scale=zero_d, rtol=None)
    HL, HR = lowrank.lora_muon_gradients(L, R, GL, GR, scale=lowrank.lora_scale(4, 2.0, rule="rs"), rtol=1e-6, schedule=6)
    L, R = lowrank.lora_retract(L, R, HL, HR, 0.1)
    assert lowrank.tangent_share(L, R, A) >= 0
def use_rope() -> None:
    freqs = lowrank.rope_frequencies(np.int64(8), 5e5, axes=2, allocation="chunked", scaling="ntk", factor=np.float32(4))
    lowrank.rope_frequencies(8, scaling="yarn", factor=2, original_length=4096)
    assert lowrank.yarn_attention_factor(4) > 1
    Q, found = lowrank.rope_canonical(A @ A.T[:, ::-1] - (A @ A.T[:, ::-1]).T)
    X = lowrank.rope_rotate(A, np.ones((12, 2)), freqs, layout="halves", inverse=True)
    lowrank.rope_rotate(rows_of_numbers, [0, 1], [0.5])
    assert X.shape == A.shape and Q.shape == (12, 12) and found.shape == (6,)
    assert lowrank.rope_matrix(0.5, [1.0], d=3, layout="halves").shape == (3, 3)
    lowrank.rope_matrix([1, 2], freqs)
    assert lowrank.rope_permutation(8, to="interleaved").shape == (8,)


def use_identity_distillation() -> None:
    losses: lowrank.IdentityLosses = lowrank.identity_distillation_losses(A, A, A / 2, lambda x: x, axis=(0, 1))
    L1, L2 = lowrank.identity_distillation_losses(rows_of_numbers, rows_of_numbers, rows_of_numbers, rows_of_numbers, axis=-1)
    assert losses.L1 >= 0 and L1 == L2


def use_experts() -> None:
    indices, weights = lowrank.route(rows_of_numbers, np.int64(1), bias=None)
    found: lowrank.ExpertLoad = lowrank.expert_load(A, 2, bias=np.zeros(8), target=[0.125] * 8)
    load, violation = found
    assert indices.shape == weights.shape and load.shape == (8,) and violation == found.max_violation
    b = lowrank.loss_free_bias(A, 2, count, zero_d, bias=None, target=None, rule="rms")
    b = lowrank.loss_free_bias(A, k=2, steps=3, bias=b, rule="quantile")
    scale: lowrank.SharedExpertScale = lowrank.shared_expert_scale(9, 4, 1, "sigmoid", renorm=True, samples=100, rng=0)
    assert b.shape == (8,) and scale.scale > scale.standard_error >= 0


def use_latent_attention() -> None:
    numbers: int = lowrank.kv_cache_per_token("gqa", heads=np.int64(64), groups=8, key_dim=128, value_dim=None, layers=2)
    assert numbers > lowrank.kv_cache_per_token("mla", rank=512, rope_dim=64) == 576
    Wk, Wv = np.ones((2, 8, 3)), np.ones((2, 8, 2))
    D, Uk, Uv = lowrank.joint_kv_compress(Wk, Wv, count, A, value_weight=2)
    lowrank.joint_kv_compress(Wk[0], Wv[0], 1)
    D, Uk, Uv = lowrank.kv_factors_of_gqa(Wk, Wv, rtol=1e-9)
    D, Uk, Uv = lowrank.kv_factors_of_gqa(Wk, Wv)
    Wq, Wqr, Wkr = np.ones((4, 8, 3)), np.ones((4, 8, 2)), np.ones((8, 2))
    positions, Wo = np.arange(12), np.ones((4, 2, 8))
    Y = lowrank.mla_attention(A, Wq, D, Uk, Uv, False, causal=True, Wqr=Wqr, Wkr=Wkr, positions=positions, freqs=[0.5], scale=0.3, Wo=Wo)
    lowrank.mla_attention(A, Wq, D, Uk, Uv, mask=np.ones((12, 12), bool))
    cache = lowrank.mla_cache(A, D, Wkr=Wkr, positions=positions, freqs=[0.5])
    y = lowrank.mla_decode(A[0] @ Wq, cache, Uk, Uv, q_rope=A[0] @ Wqr, scale=0.3, mask=positions > 3, Wo=Wo)
    assert Y.shape == A.shape and y.shape == (8,)
def use_rope_tie() -> None:
    page = [3, (2, count), 2]
    places = lowrank.rope_tie_positions(page, axes=2, variant="v1-tokens")
    gaps: lowrank.PositionGaps = lowrank.position_gaps(places, page)
    left, right = gaps
    assert np.allclose(gaps.left, right) and left.shape == gaps.right.shape == (1, 2)
    lowrank.rope_tie_positions([np.int64(2), [1, 2, 2]])


def use_gaussians() -> None:
    m, S, thin = np.zeros(12), np.eye(12), A[:, :3]
    for f in (lowrank.gaussian_w2, lowrank.gaussian_kl, lowrank.gaussian_bhattacharyya, lowrank.gaussian_fisher):
        assert f(m, S, m, 2 * S, factors=False).shape == f(m, thin, m, A, factors=True, noise=(1, zero_d)).shape == ()
    lowrank.gaussian_w2([0.0, 0.0], rows_of_numbers, [1, 0], rows_of_numbers)
    dm, dX = lowrank.gaussian_w2_grad(m, thin, m, A, factors=True)
    moved: lowrank.GaussianMap = lowrank.gaussian_map(m, S, m, 2 * S)
    matrix, b, cost = moved
    assert dm.shape == b.shape and dX.shape == thin.shape and cost == moved.cost and np.array_equal(moved.A, matrix)
    (left, right), *_ = lowrank.gaussian_map(m, A, m, thin, factors=True)
    found: lowrank.Barycenter = lowrank.gaussian_barycenter([m, m], [thin, A], weights=[1, 2], tol=1e-3, steps=count)
    assert found.X.shape == (12, 12) and found.cost > 0 and found.steps <= 3 and found.converged in (True, False) and len(found.m) == 12
    assert (left @ right).shape == (12, 12)
    distance, bias = lowrank.frechet_distance(A, A[:4], ddof=0, return_bias=True)
    assert lowrank.frechet_distance(A, A[:4], ddof=0) == distance and bias > 0


def use_batch_size() -> None:
    g, sigma, H = np.ones(8), np.full(8, 2.0), np.eye(8)
    scale = lowrank.noise_scale(g, 4 * H, H)
    steps = lowrank.optimal_lr_sgd(g, 4 * H, H, [1, count])
    lowrank.optimal_lr_sign(g, sigma, H, np.int64(4))
    lowrank.optimal_lr_sign(g, 4 * H, H, zero_d)
    u = lowrank.sign_update_mean(g, 2.0, B=count)
    found: lowrank.SimpleNoiseScale = lowrank.simple_noise_scale(A)
    B_simple, g2, trace = found
    assert found.trace == trace and scale == 4 and len(steps) == 2
    assert lowrank.sign_update_second(g, 4 * H, 3).shape == (8, 8) and u.shape == (8,)
    mean, second = lowrank.softsign_mean(g, 2.0, B=count, eps=zero_d), lowrank.softsign_second(g, sigma, 1, 0.5)
    assert mean.shape == second.shape and lowrank.optimal_lr_softsign(g, sigma, H, [1, 2], eps=0.1).shape == (2,)
def use_curvature() -> None:
    R = lowrank.curvature_from_gradients(A, centered=True, diagonal=False)
    x = lowrank.whiten_gradient(A, R[0], eps=0.1)
    x = lowrank.whiten_gradient(rows_of_numbers, [1.0, 2.0], rtol=None)
    found: lowrank.Kronecker = lowrank.nearest_kronecker(np.eye(6).reshape(6, 2, 3), steps=count, divergence="kl")
    L, _, error, steps, converged = lowrank.nearest_kronecker(np.ones((4, 2, 3)))
    assert x.ndim == 1 and found.R.shape == (3, 3) and L.shape == (2, 2) and error <= 1 and steps >= 1 and converged


def use_inequality() -> None:
    sums: lowrank.GeometricPoisson = lowrank.geometric_vs_poisson([0.1, 0.5], j=count)
    geometric, poisson = sums
    assert np.all(sums.gap > 0) and np.all(geometric <= sums.poisson)
def use_mean_flow() -> None:
    z, m, S = np.ones((3, 2)), np.zeros(2), np.eye(2)
    v = lowrank.gaussian_velocity(z, 0.5, m, S)
    u = lowrank.gaussian_mean_velocity(z, np.zeros(3), np.float32(1), m, np.ones((2, 1)), factors=True)
    lowrank.gaussian_mean_velocity([1.0, 2.0], 0, 1, [0.0, 0.0], rows_of_numbers)
    assert v.shape == u.shape == (3, 2)
