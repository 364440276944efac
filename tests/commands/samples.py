"""Requests as test data."""


def request(text: str) -> list[bytes]:
    return [word.encode() for word in text.replace('""', "\0").split(" ")]


# Requests whose keys do not stand at fixed places; `k` and a digit is a key.
SAMPLES = """
    BITOP AND k1 k2 k3
    BLMOVEM k1 k2 LEFT RIGHT 0 COUNT 2 OBO
    BLMPOP 0 2 k1 k2 LEFT
    BLPOP k1 k2 0
    BZMPOP 0 2 k1 k2 MIN COUNT 2
    CMS.MERGE k1 2 k2 k3 WEIGHTS 1 2
    COPY k1 k2 DB 1
    DELEX k1 IFEQ v
    DELIFEQ k1 v
    DIGEST k1
    EVAL script 0 a
    EVAL script 2 k1 k2 a
    EVALSHA sha 1 k1 a
    EVALSHA_RO sha 1 k1 a
    EVAL_RO script 1 k1
    FCALL name 1 k1 a
    FCALL_RO name 2 k1 k2
    FT.ADD index k1 1 FIELDS a b
    FT.MGET index k1 k2
    FT.SEARCH index *
    FT.SUGADD k1 text 1
    GEORADIUS k1 0 0 1 m
    GEORADIUS k1 0 0 1 m COUNT 1 STORE k2
    GEORADIUS k1 0 0 1 m storedist k2
    GEORADIUSBYMEMBER k1 m 1 m STORE k2
    HEXPIRE k1 1 FIELDS 1 f
    HIMPORT SET k1 fieldset v
    JSON.MGET k1 k2 $
    JSON.MSET k1 $ 1 k2 $ 2
    LMOVEM k1 k2 LEFT RIGHT
    LMPOP 1 k1 LEFT
    MEMORY USAGE k1 SAMPLES 5
    MIGRATE host 1 "" 0 10 COPY KEYS k1 k2
    MIGRATE host 1 "" 0 10 AUTH pw keys k1
    MIGRATE host 1 k1 0 10
    MSET k1 v k2 v
    MSETEX 2 k1 v k2 v NX EX 1
    MSETNX k1 v
    OBJECT ENCODING k1
    PFDEBUG GETREG k1
    SDIFFCARD 2 k1 k2 LIMIT 1
    SINTERCARD 2 k1 k2 LIMIT 1
    SORT k1 BY w_* GET d_* LIMIT 0 1 ALPHA store k2
    SORT k1
    SORT_RO k1 BY w_* GET #
    STRALGO LCS IDX KEYS k1 k2
    STRALGO LCS KEYS k1 k2
    SUNIONCARD 1 k1 APPROX
    TDIGEST.MERGE k1 2 k2 k3 OVERRIDE
    TS.MADD k1 1 2 k2 1 2
    TS.NRANGE 2 k1 k2 - +
    VADD k1 FP32 v e
    XACKDEL k1 g IDS 1 1-1
    XDELEX k1 IDS 1 1-1
    XGROUP CREATE k1 g $
    XINFO STREAM k1
    XREAD BLOCK 0 COUNT 1 STREAMS k1 k2 0 0
    XREAD streams k1 0
    XREADGROUP GROUP STREAMS STREAMS NOACK STREAMS k1 >
    XREADGROUP GROUP g c COUNT 1 BLOCK 1 STREAMS k1 k2 > >
    ZDIFF 1 k1
    ZDIFFSTORE k1 1 k2
    ZINTER 2 k1 k2 WEIGHTS 1 2
    ZINTERCARD 2 k1 k2
    ZINTERSTORE k1 2 k2 k3 AGGREGATE MAX
    ZMPOP 1 k1 MIN
    ZUNION 2 k1 k2 WITHSCORES
    ZUNIONSTORE k1 1 k2 WEIGHTS 1
"""
SAMPLE_REQUESTS = [
    [b"" if arg == b"\0" else arg for arg in request(line.strip())] for line in SAMPLES.strip().splitlines()
]


def keys_of(sample: list[bytes]) -> list[bytes]:
    return [arg for arg in sample if arg[:1] == b"k" and arg[1:].isdigit()]
