"""A manufactured solution with its derivatives, for the tests of stated problems."""

import numpy as np


class Known:
    """u = exp(x/2) cos(y + x/3) and the derivatives that operators are made of, functions of points (2, ...)."""

    @staticmethod
    def u(x):
        return np.exp(x[0] / 2) * np.cos(x[1] + x[0] / 3)

    @staticmethod
    def jets(x):
        """(u, ux, uy, uxx, uyy) at points, (5, ...)."""
        e, c, s = np.exp(x[0] / 2), np.cos(x[1] + x[0] / 3), np.sin(x[1] + x[0] / 3)
        return np.stack([e * c, e * (c / 2 - s / 3), -e * s, e * (c / 4 - s / 3 - c / 9), -e * c])

    @classmethod
    def source(cls, *coefficients):
        """What the operator with these coefficients (numbers or functions) makes of u."""

        def f(x):
            return sum((c(x) if callable(c) else c) * j for c, j in zip(coefficients, cls.jets(x), strict=True))

        return f

    @classmethod
    def slope(cls, domain):
        """du/dn on the boundary of a domain."""
        return lambda x: (cls.jets(x)[1:3] * domain.normal(x)).sum(0)
