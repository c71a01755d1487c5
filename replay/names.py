"""Every form in which a text may name a symbol: its parts, what people call them, inside words and spelled out. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# What things are paid in. As such it says little of a market and stays; where it is what is traded, it is named like all others.
FIAT: Final = ("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "TRY", "KRW", "BRL", "CNY", "CNH", "INR", "MXN", "ZAR")
MONEY: Final = ("USDT", "USDC", "BUSD", "TUSD", "FDUSD", "DAI", *FIAT)
COINS: Final = ("BTC", "XBT", "ETH", "BNB")  # things are paid in these, too, and are named by them then
CONTRACTS: Final = ("PERPETUAL", "PERP", "SWAP", "FUTURES", "SPOT")
# What people call what is traded, beside its ticker.
NAMES: Final = {
    "BTC": ("bitcoin", "xbt", "satoshi", "sats"), "XBT": ("bitcoin", "btc", "satoshi", "sats"), "ETH": ("ethereum", "ether"),
    "BCH": ("bitcoin cash", "bcash"), "BSV": ("bitcoin sv",), "ETC": ("ethereum classic",), "LTC": ("litecoin",),
    "ADA": ("cardano",), "XRP": ("ripple",), "SOL": ("solana",), "BNB": ("binance coin", "binance", "bsc"), "DOT": ("polkadot",),
    "DOGE": ("dogecoin",), "XDG": ("dogecoin", "doge"), "SHIB": ("shiba inu", "shiba"), "PEPE": ("pepecoin",),
    "AVAX": ("avalanche",), "LINK": ("chainlink",), "TRX": ("tron",), "MATIC": ("polygon",), "POL": ("polygon", "matic"),
    "XLM": ("stellar", "lumens"), "UNI": ("uniswap",), "ATOM": ("cosmos",), "FIL": ("filecoin",), "XMR": ("monero",),
    "ALGO": ("algorand",), "TON": ("toncoin",), "APT": ("aptos",), "ARB": ("arbitrum",), "OP": ("optimism",), "ICP": ("dfinity",),
    "XTZ": ("tezos",), "HBAR": ("hedera",), "VET": ("vechain",), "ZEC": ("zcash",), "FTM": ("fantom",), "AAVE": ("aave",),
    "AAPL": ("apple",), "MSFT": ("microsoft",), "TSLA": ("tesla",), "AMZN": ("amazon",), "NVDA": ("nvidia",),
    "META": ("facebook",), "GOOG": ("google", "alphabet"), "GOOGL": ("google", "alphabet"),
    "XAU": ("gold",), "GOLD": ("xau",), "XAG": ("silver",), "SILVER": ("xag",),
    "USD": ("dollar", "greenback", "buck"), "EUR": ("euro",), "GBP": ("sterling", "pound", "cable"), "JPY": ("yen",),
    "CHF": ("swiss franc", "franc"), "AUD": ("aussie",), "NZD": ("kiwi",), "CAD": ("loonie",), "TRY": ("lira",),
    "KRW": ("won",), "BRL": ("real",), "CNY": ("yuan", "renminbi"), "CNH": ("yuan", "renminbi"), "INR": ("rupee",),
    "MXN": ("peso",), "ZAR": ("rand",),
}  # fmt: skip
SPELLED_MIN: Final = 3  # letters: a shorter part is in half of all words
INSIDE_MIN: Final = 7  # letters: so long a name stands in no word but its own
_KRAKEN: Final = re.compile(r"X([A-Z]{3})[ZX]([A-Z]{3})")
# Where a word begins and ends, those that are written together as `isBtcUp` and `btc_price` among them.
_BEGIN: Final = r"(?:(?<![A-Za-z0-9])|(?-i:(?<=[a-z0-9])(?=[A-Z])))"
_END: Final = r"(?:(?![A-Za-z0-9])|(?-i:(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])))"


def parts_of(symbol: str) -> tuple[str, ...]:
    """What is traded, and the coin or second currency that it is paid in; not the money, the contract's kind or its numbers."""
    own = re.sub(r"^t(?=[A-Z]{3})", "", symbol).upper()
    first, *others = [part for word in re.split(r"[^A-Z0-9]+", own) if word for part in _pair(word)] or [""]
    words = (each for each in others if each.isalpha() and len(each) > 1 and each not in CONTRACTS)
    named = (each for each in words if each not in MONEY or {first, each} <= set(FIAT))
    return tuple(dict.fromkeys(filter(None, (first, *named))))


def _pair(word: str) -> tuple[str, ...]:
    """What is traded and what it is paid in, of a word that holds both; the word where it does not."""
    if kraken := _KRAKEN.fullmatch(word):
        return kraken.groups()
    traded = re.sub(r"^\d+(?=[A-Z]{2})", "", word)
    for contract in CONTRACTS:
        traded = traded.removesuffix(contract) or traded
    pairs = [(traded.removesuffix(paid), paid) for paid in (*MONEY, *COINS) if traded.endswith(paid)]
    pairs = [(first, paid) for first, paid in pairs if len(first) > (paid in COINS)]
    # DOTUSD is no DO that is paid in TUSD; where nobody knows, it is whichever it may be.
    known = [pair for pair in pairs if pair[0] in NAMES] or pairs
    return tuple(dict.fromkeys(part for pair in known for part in pair)) or (traded,)


@lru_cache(maxsize=1_000)
def naming(symbol: str) -> re.Pattern[str]:
    """Every form of a symbol in a text: with signs between and without, its parts and what people call them, inside words."""
    signs, paid = r"[^A-Za-z0-9]?", "|".join((*MONEY, *CONTRACTS))
    forms = [signs.join(re.escape(each) for each in symbol if each.isalnum())]
    inside = []
    for part in parts_of(symbol):
        for name in (part, *NAMES.get(part, ())):
            words = "[ _-]?".join(re.escape(word) for word in name.split())
            forms.append(rf"\d*{words}(?:{signs}(?:{paid}))*(?:s|ers?)?")
            if len(name) >= INSIDE_MIN and " " not in name:
                inside.append(re.escape(name))
        if len(part) >= SPELLED_MIN:
            forms.append(r"[ ._\-]".join(part))
            inside.append(f"(?-i:{re.escape(part)})")  # tBTCUSD, BTCDOM: written large
    within = rf"|[A-Za-z0-9]*(?:{'|'.join(inside)})[A-Za-z0-9]*" if inside else ""
    return re.compile(rf"(?i){_BEGIN}(?:{'|'.join(forms)}){_END}{within}")
