# pragma version 0.4.3
# pragma evm-version cancun
"""
@title An ERC-20 for tests, as honest or as wicked as its mood
@notice `set_mood` may be called by anyone at any time: a token can turn bad after the deposit.
"""

PLAIN: constant(uint256) = 0
NO_ANSWER: constant(uint256) = 1  # moves, returns nothing (as USDT does)
LONG_ANSWER: constant(uint256) = 2  # moves, returns True and a further word
TAKES_FEE: constant(uint256) = 3  # the receiver gets a hundredth less, at least 1
SAYS_FALSE: constant(uint256) = 4  # moves nothing, returns False
REVERTS: constant(uint256) = 5
LIES: constant(uint256) = 6  # moves nothing, returns True
SHORT_ANSWER: constant(uint256) = 7  # moves, returns the single byte 01
SAYS_TWO: constant(uint256) = 8  # moves, returns the word 2
REENTERS: constant(uint256) = 9  # moves, then calls what `set_call` said
GIVES_MORE: constant(uint256) = 10  # the receiver gets 1 more, minted
BURNS_MORE: constant(uint256) = 11  # the sender loses 1 more
BALANCE_REVERTS: constant(uint256) = 12
BALANCE_SHORT: constant(uint256) = 13  # `balanceOf` returns a single byte
BALANCE_WRITES: constant(uint256) = 14  # `balanceOf` changes the token's state

mood: public(uint256)
balances: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

target: address
data: Bytes[2048]
reentered: public(bool)  # whether a call of `target` ever succeeded
answer: public(Bytes[256])  # what it returned


@external
def set_mood(mood: uint256):
    self.mood = mood


@external
def set_call(target: address, data: Bytes[2048]):
    self.target = target
    self.data = data


@external
def call(target: address, data: Bytes[2048]):
    """
    @notice Calls `target` as this token, so that the token itself can be a miner.
    """
    raw_call(target, data)


@external
def mint(account: address, amount: uint256):
    self.balances[account] += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
@view
def symbol() -> String[4]:
    return "TEST"


@external
@view
def decimals() -> uint8:
    return 6


@external
@raw_return
def balanceOf(account: address) -> Bytes[32]:
    assert self.mood != BALANCE_REVERTS, "Token: no balances today"
    if self.mood == BALANCE_WRITES:
        self.balances[self] += 1
    if self.mood == BALANCE_SHORT:
        return x"01"
    return abi_encode(self.balances[account])


@external
@raw_return
def transfer(receiver: address, amount: uint256) -> Bytes[64]:
    return self._move(msg.sender, receiver, amount)


@external
@raw_return
def transferFrom(sender: address, receiver: address, amount: uint256) -> Bytes[64]:
    if self.allowance[sender][msg.sender] != max_value(uint256):
        self.allowance[sender][msg.sender] -= amount
    return self._move(sender, receiver, amount)


@internal
def _move(sender: address, receiver: address, amount: uint256) -> Bytes[64]:
    assert self.mood != REVERTS, "Token: reverts"
    if self.mood == SAYS_FALSE:
        return abi_encode(False)
    if self.mood == LIES:
        return abi_encode(True)
    self.balances[sender] -= amount
    self.balances[receiver] += amount
    if self.mood == TAKES_FEE:
        self.balances[receiver] -= max(1, amount // 100)
    if self.mood == GIVES_MORE:
        self.balances[receiver] += 1
    if self.mood == BURNS_MORE:
        self.balances[sender] -= 1
    if self.mood == REENTERS:
        success: bool = False
        success, self.answer = raw_call(
            self.target, self.data, max_outsize=256, revert_on_failure=False
        )
        if success:
            self.reentered = True
    if self.mood == NO_ANSWER:
        return b""
    if self.mood == LONG_ANSWER:
        return abi_encode(True, empty(uint256))
    if self.mood == SHORT_ANSWER:
        return x"01"
    if self.mood == SAYS_TWO:
        return abi_encode(convert(2, uint256))
    return abi_encode(True)
