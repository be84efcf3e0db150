from lwm2m_fota.server.listeners import Listeners


def test_who_listens_to_whom():
    listeners = Listeners()
    one, two, other = (listeners.add(name, number) for name, number in (("a", 1), ("a", 2), ("b", 3)))
    assert (listeners.of("a"), listeners.of("b"), listeners.of("c")) == ((1, 2), (3,), ())
    one.cancel()
    one.cancel()
    assert listeners.of("a") == (2,)
    two.cancel()
    other.cancel()
    assert len(listeners) == 0


def test_the_same_listener_twice_is_two():
    listeners = Listeners()
    first, second = listeners.add("a", print), listeners.add("a", print)
    first.cancel()
    assert listeners.of("a") == (print,)
    second.cancel()
    assert listeners.of("a") == ()
