"""The service desk's agents. Each reads the graph and proposes; none writes."""

from .long_wait import LongWait
from .ping_pong import PingPong
from .team_router import TeamRouter

AGENTS = (TeamRouter(), PingPong(), LongWait())
