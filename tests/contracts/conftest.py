import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sonar_world import World, new_world


@pytest.fixture
def world() -> World:
    return new_world()
