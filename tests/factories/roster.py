"""The synthetic roster of the product's demo, under the name the tests know."""

from backend.estate.roster_synthetic import SyntheticRoster, synthetic_roster

__all__ = ["SyntheticRoster", "synthetic_roster"]
