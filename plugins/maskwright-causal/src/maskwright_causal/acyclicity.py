"""The smooth measure of cycles: h(T) = tr exp(T o T) - p is zero exactly when T has none."""

import numpy as np
from scipy.linalg import expm


def cycle_measure(gate: np.ndarray) -> tuple[float, np.ndarray]:
    """h and its gradient 2 T o exp(T o T)', for T float64 (p, p). o multiplies entry by entry."""
    grown = expm(gate * gate)
    return float(np.trace(grown)) - len(gate), 2 * gate * grown.T


def shrink_pair(weights: np.ndarray, gate: np.ndarray, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """The paper's closed-form shrinkage of one edge type: weights (K, p, p) and gate (p, p), both from old values.

    |G_ij| loses amount * |T_ij| of its 2-norm over tasks, |T_ij| loses amount * |G_ij|; neither passes zero.
    """
    norms = np.sqrt((weights * weights).sum(axis=0))
    kept = np.maximum(norms - amount * np.abs(gate), 0.0) / np.where(norms > 0, norms, 1.0)
    return weights * kept, np.sign(gate) * np.maximum(np.abs(gate) - amount * norms, 0.0)
