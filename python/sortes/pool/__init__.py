"""Using many samples of each problem.

pass@k and its relatives (`pass_at_k`, `pass_hat_k`, `max_at_k`, `best_of_k`, `majority_at_k`), also
from distinct samples (`pass_at_k_distinct`); means over problems with standard errors (`average`);
what more samples would give (`coverage_fit`, `beta_binomial_fit`), how many are needed
(`samples_needed`, `problems_needed`), and when to stop if the verifier errs (`resample_value`).
"""

from sortes._estimate import Estimate, Estimates
from sortes.pool.best import best_of_k, max_at_k
from sortes.pool.coverage import BetaBinomialFit, CoverageFit, beta_binomial_fit, coverage_fit
from sortes.pool.distinct import pass_at_k_distinct
from sortes.pool.passes import pass_at_k, pass_at_k_variance, pass_hat_k
from sortes.pool.problems import average, problems_needed, samples_needed
from sortes.pool.verifier import ResampleValue, resample_value
from sortes.pool.votes import majority_at_k

__all__ = [
    "BetaBinomialFit",
    "CoverageFit",
    "Estimate",
    "Estimates",
    "ResampleValue",
    "average",
    "best_of_k",
    "beta_binomial_fit",
    "coverage_fit",
    "majority_at_k",
    "max_at_k",
    "pass_at_k",
    "pass_at_k_distinct",
    "pass_at_k_variance",
    "pass_hat_k",
    "problems_needed",
    "resample_value",
    "samples_needed",
]
