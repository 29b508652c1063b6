"""The suggester's pure core: records in, ranked sources for every target out."""

from mapper_ai.core.explain import Explainer, explain
from mapper_ai.core.fields import Contract, ContractFieldLike, FieldProfile, Profile
from mapper_ai.core.history import Decision
from mapper_ai.core.profile import merge_profiles, profile_contract, profile_records
from mapper_ai.core.scoring import Scorer, WeightedScorer
from mapper_ai.core.suggest import Candidate, TargetSuggestion, compute_signals, suggest

__all__ = [
    "Candidate",
    "Contract",
    "ContractFieldLike",
    "Decision",
    "Explainer",
    "FieldProfile",
    "Profile",
    "Scorer",
    "TargetSuggestion",
    "WeightedScorer",
    "compute_signals",
    "explain",
    "merge_profiles",
    "profile_contract",
    "profile_records",
    "suggest",
]
