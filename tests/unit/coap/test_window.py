from lwm2m_fota.coap.window import Window


def widths(window, answers):
    seen = []
    for _ in range(answers):
        window.answered()
        seen.append(window.width)
    return seen


def test_it_grows_by_one_for_each_window_and_no_further():
    window = Window(4)
    assert window.width == 1
    # sizes: 2, 2.5, 2.9, 3.24, 3.55, 3.83, 4.09
    assert widths(window, 8) == [2, 2, 2, 3, 3, 3, 4, 4]


def test_a_loss_halves_it_once_for_all_that_was_under_way():
    window = Window(8)
    widths(window, 40)
    assert window.width == 8
    window.lost(num=50, next_num=58)
    assert window.width == 4
    window.lost(num=57, next_num=60)
    assert window.width == 4
    window.lost(num=58, next_num=62)
    assert window.width == 2
    window.lost(num=62, next_num=63)
    window.lost(num=63, next_num=64)
    assert window.width == 1
