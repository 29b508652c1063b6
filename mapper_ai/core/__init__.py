"""The suggester's pure core: records in, ranked sources for every target out."""

from mapper_ai.core.explain import Explainer, explain
from mapper_ai.core.fields import Contract, ContractFieldLike, FieldProfile, Profile
from mapper_ai.core.model import Model, load_model, read_model
from mapper_ai.core.profile import merge_profiles, profile_contract, profile_records
from mapper_ai.core.suggest import Candidate, Decision, HistorySignal, TargetSuggestion, suggest

__all__ = [
    "Candidate",
    "Contract",
    "ContractFieldLike",
    "Decision",
    "Explainer",
    "FieldProfile",
    "HistorySignal",
    "Model",
    "Profile",
    "TargetSuggestion",
    "explain",
    "load_model",
    "merge_profiles",
    "profile_contract",
    "profile_records",
    "read_model",
    "suggest",
]
