"""Tests of lowrank.unit_rotation, generated from book/structure/unit_rotation.ipynb; edit the
chapter."""

from lowrank.unit_rotation import reflect, reflection_between, rotate, rotation_between


# %% book/structure/unit_rotation.ipynb: test_both_maps_at_every_angle
def test_both_maps_at_every_angle():
    import numpy as np

    rng = np.random.default_rng(0)
    for dtype, few in ((np.float64, 2e-15), (np.float32, 1e-6)):
        for gap in (0, 1e-300, 1e-15, 1e-12, 1e-8, 1e-4, 1e-2, 1):
            a, e = np.linalg.qr(rng.standard_normal((20, 50, 2)))[0].transpose(2, 0, 1)
            for sign in (1, -1):
                b = sign * (np.cos(gap) * a + np.sin(gap) * e)
                for between in (rotation_between, reflection_between):
                    T = between(a.astype(dtype), b.astype(dtype))
                    assert T.dtype == dtype
                    T = T.astype(float)
                    off = np.linalg.norm(T.mT @ T - np.eye(50), 2, axis=(-2, -1))
                    missed = np.linalg.norm((T @ a[..., None])[..., 0] - b, axis=-1)
                    assert off.max() < few and missed.max() < few
                    det = 1 if between is rotation_between else -1
                    assert np.allclose(np.linalg.det(T), det)


def test_applied_is_the_matrix():
    import numpy as np

    rng = np.random.default_rng(1)
    for shapes in (((7,), (7,), (7,)), ((4, 7), (7,), (7,)), ((7,), (3, 7), (7,)),
                   ((2, 1, 7), (3, 7), (2, 3, 7)), ((5, 2), (2,), (5, 2))):
        x, a, b = map(rng.standard_normal, shapes)
        for apply, between in ((rotate, rotation_between), (reflect, reflection_between)):
            expected = (between(a, b) @ x[..., None])[..., 0]
            assert np.allclose(apply(x, a, b), expected, rtol=0, atol=1e-13)
        half = rotation_between(a, b, fraction=0.5)
        assert np.allclose(half @ half, rotation_between(a, b), rtol=0, atol=1e-13)
        back = rotate(rotate(x, a, b, fraction=0.3), a, b, fraction=-0.3)
        assert np.allclose(back, x + 0 * back, rtol=0, atol=1e-13)
