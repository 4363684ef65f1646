"""Names of runs that a person can say aloud."""

from __future__ import annotations

_ADJECTIVES = (
    "able amber avid bold brave brief bright brisk calm candid civil clear clever coral cosmic cosy crisp "
    "daring deft eager early easy fair fancy fleet fluent fond frank fresh gentle glad golden grand green "
    "happy hardy honest humble jolly keen kind light lively loyal lucid lucky mellow merry mild modest neat "
    "nimble noble plucky polite prompt proud quick quiet rapid ready rosy sage silent silver sleek smart "
    "solid spry steady sunny swift tidy tranquil trusty upbeat valiant vivid warm wise witty zesty"
).split()
_ANIMALS = (
    "ant badger bat bear beaver bee bison boar bobcat camel carp cat cheetah cobra condor coyote crab crane "
    "cricket crow deer dingo dolphin dove duck eagle egret elk falcon ferret finch fox frog gannet gecko "
    "gibbon goat goose gull hare hawk heron hornet horse ibex ibis jackal jaguar jay kestrel koala lark lemur "
    "leopard lion lizard llama lynx magpie marmot marten mole moose moth newt ocelot orca osprey otter owl "
    "panda pelican pigeon puffin puma quail rabbit raven robin salmon seal shark sparrow stork swan tapir "
    "tern tiger toad trout turtle viper vole walrus wasp weasel whale wolf wombat wren yak zebra"
).split()


def name_of_run(run_id: str) -> str:
    """The name of a run that was given none, from its id (32 hexadecimal digits)."""
    return run_name(int(run_id[-14:], 16) ^ int(run_id[:12], 16))


def run_name(number: int) -> str:
    """A name such as ``nimble-falcon`` for any whole number; the same number gives the same name."""
    adjective, animal = divmod(abs(number), len(_ANIMALS))
    return f"{_ADJECTIVES[adjective % len(_ADJECTIVES)]}-{_ANIMALS[animal]}"
