# pragma version 0.4.3
# pragma evm-version cancun
"""
@title An account with code: a miner or a data scientist that misbehaves when it is paid
"""

REJECTS: constant(uint256) = 1
REENTERS: constant(uint256) = 2
RETURNS_MUCH: constant(uint256) = 3  # a "return bomb"

mood: public(uint256)
target: address
data: Bytes[2048]
amount: uint256
visited: public(bool)
reentered: public(bool)  # whether a call of `target` ever succeeded
answer: public(Bytes[256])


@external
def set_mood(mood: uint256):
    self.mood = mood


@external
def set_call(target: address, data: Bytes[2048], amount: uint256):
    self.target = target
    self.data = data
    self.amount = amount


@external
@payable
def call(target: address, data: Bytes[2048], amount: uint256):
    raw_call(target, data, value=amount)


@external
@payable
@raw_return
def __default__() -> Bytes[4096]:
    assert self.mood != REJECTS, "Visitor: no, thank you"
    if self.mood == REENTERS:
        self.visited = True
        success: bool = False
        success, self.answer = raw_call(
            self.target, self.data, value=self.amount, max_outsize=256, revert_on_failure=False
        )
        if success:
            self.reentered = True
    if self.mood == RETURNS_MUCH:
        return empty(Bytes[4096])
    return b""
