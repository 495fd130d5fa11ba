"""The recipes by name."""

from training.recipes import cifar10, sign_language
from training.recipes.recipe import Hyperparameters, Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (cifar10.RECIPE, sign_language.RECIPE)
}

__all__ = ["RECIPES", "Hyperparameters", "Recipe"]
