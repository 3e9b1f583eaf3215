"""The names of consumers."""

from itertools import islice

from consumer.consumer_tags import consumer_tags


def test_they_are_short_and_rise_as_texts_and_none_comes_twice() -> None:
    names = list(islice(consumer_tags(), 2000))
    assert sorted(set(names)) == names
    assert {len(name) for name in names} == {6}
