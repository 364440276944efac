"""As driver.py, for an app that caches frames of pandas. It runs inside the environment of a version of pandas.

frames_driver.py LIBRARY PLACE

`proxy.codec` is taken from this repository, for `to_pandas` alone.
"""

import importlib.util
import json
import pathlib
import pickle
import sys

import numpy as np
import pandas as pd

_spec = importlib.util.spec_from_file_location("driver", pathlib.Path(__file__).with_name("driver.py"))
driver = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(driver)

NEW = int(pd.__version__.partition(".")[0]) >= 2
PROTOCOLS = (2, 4, 5)


def stock(city):
    """The memoized function."""
    driver.RUNS["stock"] += 1
    return pd.DataFrame(
        {
            "price": [1.5, None, 3.0],
            "qty": [1, 2, 2**60],
            "ok": [True, False, True],
            "name": ["tea", None, city],
            "at": pd.to_datetime(["2024-01-02 03:04:05.123456789", None, "2024-02-29 00:00:00.0"]),
        }
    )


def frames():
    """Frames of every kind, by name."""
    times = ["2024-01-02 03:04:05.123456789", None]
    aware = pd.to_datetime(["2024-01-02", None], utc=True)
    intervals = pd.arrays.IntervalArray
    sparse = pd.arrays.SparseArray
    columns = {
        "mixed": {"price": [1.5, None], "qty": [1, 2], "ok": [True, False], "name": ["a", None]},
        "widths": {"f": np.array([1, 2], "f4"), "i": np.array([1, -2], "i1"), "u": np.array([1, 2**64 - 1], "u8")},
        "complex": {"c": [1 + 2j, complex("nan")]},
        "times": {"at": pd.to_datetime(times), "span": pd.to_timedelta(["1 days 02:03:04.000000005", None])},
        "zones": {"b": pd.to_datetime(times).tz_localize("Europe/Berlin"), "u": aware},
        "fold": {"b": pd.to_datetime(["2024-10-27 00:30", "2024-10-27 01:30"], utc=True).tz_convert("Europe/Berlin")},
        "categories": {"c": pd.Categorical(["x", "y", None, "x"]), "n": pd.Categorical([3, 1, 3, 1])},
        "masked": {"i": pd.array([1, None], "Int64"), "f": pd.array([1.5, None], "Float32")},
        "flags": {"b": pd.array([True, None], "boolean"), "s": pd.array(["a", None], "string")},
        "periods": {
            "m": pd.PeriodIndex(["2024-01", "NaT"], freq="M"),
            "d": pd.PeriodIndex(["2024-01-02"] * 2, freq="D"),
        },
        "intervals": {"i": intervals.from_tuples([(0, 5), (5, 10)]), "f": intervals.from_tuples([(0.5, 5.25), None])},
        "days": {"d": pd.interval_range(pd.Timestamp("2024-01-01"), periods=2)},
        "hours": {"h": pd.interval_range(pd.Timestamp("2024-01-01 06:00", tz="UTC"), periods=2, closed="left")},
        "sparse": {"s": sparse([0.0, 1.5], fill_value=0.0), "n": sparse([np.nan, 1.5]), "b": sparse([True, False])},
        "fill of numpy": {
            "s": sparse([0.0, 1.5], fill_value=np.float64(0)),
            "i": sparse([0, 1], fill_value=np.int64(0)),
        },
        "objects": {"o": [[1, 2], [3, 4]], "m": [1, "a"], "d": [{"a": 1}, None]},
        "no rows": {"a": [], "b": []},
    }
    made = {name: pd.DataFrame(each) for name, each in columns.items()}
    made["nothing"] = pd.DataFrame()
    made["no columns"] = pd.DataFrame(index=[1, 2])
    for name, labels in {"twice": ["a", "a"], "numbers": [0, 1], "kinds": ["a", 1]}.items():
        made[name] = pd.DataFrame([[1, 2], [3, 4]], columns=labels)
    made["levels of names"] = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    indexes = {
        "named": pd.Index(["x", "y"], name="sku"),
        "ints": pd.Index([10, 20]),
        "twice": pd.Index(["a", "a"]),
        "days": pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="day"),
        "zoned": pd.DatetimeIndex(["2024-01-02", "2024-01-03"], tz="Europe/Berlin"),
        "categories": pd.CategoricalIndex(["b", "a"]),
        "periods": pd.period_range("2024-01", periods=2, freq="M"),
        "intervals": pd.interval_range(0, 2),
        "levels": pd.MultiIndex.from_tuples([("a", 1), ("b", None)], names=["k", None]),
        "a range": pd.RangeIndex(2, 6, 2),
    }
    made.update({f"index of {name}": pd.DataFrame({"v": [1.0, 2.0]}, index=each) for name, each in indexes.items()})
    if NEW:
        made.update(new_frames())
    return made


def new_frames():
    """Of dtypes that pandas 2 brought."""
    day = pd.to_datetime(["2024-01-02", None])
    made = {
        "units": pd.DataFrame({"s": day.astype("M8[s]"), "us": day.astype("M8[us]")}),
        "spans of ms": pd.DataFrame({"ms": pd.to_timedelta(["1 days", None]).astype("m8[ms]")}),
        "zone in seconds": pd.DataFrame({"s": day.astype("M8[s]").tz_localize("Europe/Berlin")}),
        "far times": pd.DataFrame({"s": np.array(["9999-01-02", "0001-01-01"], "M8[s]")}),
    }
    try:
        import pyarrow as pa
    except ImportError:
        return made

    def column(kind, *values):
        return pd.array([*values, None], dtype=pd.ArrowDtype(kind))

    made["arrow"] = pd.DataFrame(
        {
            "i": column(pa.int64(), 1), "u": column(pa.uint8(), 1), "d": column(pa.float64(), 1.5),
            "f": column(pa.float32(), 1.5), "b": column(pa.bool_(), True), "s": column(pa.string(), "a"),
            "l": column(pa.large_string(), "a"),
        }
    )  # fmt: skip
    moment = pd.Timestamp("2024-01-02 03:04:05")
    made["times of arrow"] = pd.DataFrame(
        {
            "n": column(pa.timestamp("ns"), moment), "m": column(pa.timestamp("ms"), moment),
            "u": column(pa.timestamp("us", "UTC"), moment.tz_localize("UTC")),
            "b": column(pa.timestamp("us", "Europe/Berlin"), moment.tz_localize("Europe/Berlin")),
            "d": column(pa.date32(), moment.date()),
        }
    )  # fmt: skip
    return made


class Frames:
    """The app."""

    def __init__(self, socket):
        import flask
        from flask_caching import Cache

        self.app = flask.Flask("shop")
        self.app.testing = True  # exceptions leave the app
        self.app.config.update(
            CACHE_TYPE="RedisCache", CACHE_REDIS_URL="unix://" + socket, CACHE_KEY_PREFIX=driver.PREFIX
        )
        self.cache = Cache(self.app)
        self.app.app_context().push()
        self.stock = self.cache.memoize(60)(stock)

        @self.app.post("/callback")
        def callback():
            frame = self.stock(flask.request.json["city"])
            sums = frame.groupby("ok")[["price"]].sum()
            self.cache.set("session:" + flask.request.json["session"], {"stock": frame, "sums": sums, "none": None})
            return flask.jsonify(rows=len(frame))

    def call(self, name, *arguments):
        """A method below."""
        return getattr(self, name)(*arguments)

    def rows(self, city):
        """The rows as pandas itself writes them, and how often the function has run for them."""
        runs = driver.RUNS["stock"]
        frame = self.stock(city)
        return frame.to_json(orient="records", double_precision=15), driver.RUNS["stock"] - runs

    def called_back(self, session, city):
        """What the browser of a Dash app gets."""
        answer = self.app.test_client().post("/callback", json={"session": session, "city": city})
        return answer.get_json()

    def differences(self):
        """The frames and series that `to_pandas` makes otherwise than pandas had them, and how many there were."""
        sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
        from proxy.codec import loads

        found, count = [], 0
        for name, frame in frames().items():
            for protocol in PROTOCOLS:
                value = {"frame": frame, "series": [frame.iloc[:, at] for at in range(frame.shape[1])]}
                inert = loads(b"!" + pickle.dumps(value, protocol))
                pairs = [(frame, inert["frame"]), *zip(value["series"], inert["series"], strict=True)]
                for given, read in pairs:
                    count += 1
                    check = pd.testing.assert_frame_equal if given.ndim == 2 else pd.testing.assert_series_equal
                    try:
                        check(read.to_pandas(), given, check_freq=False)
                    except Exception as error:
                        found.append(f"{name}, protocol {protocol}: {type(error).__name__}: {error}")
        return json.dumps(found), count


driver.LIBRARIES.update(flask_caching_frames=Frames)

if __name__ == "__main__":
    driver.main()
