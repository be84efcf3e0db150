"""An explorer of the machines: it calls their steps in every state that can be reached, and checks what must hold.

Use it where you have chosen policies of your own, or changed a table:

    from lwm2m_fota.machines.profile import FirmwareProfile
    from lwm2m_fota.testing.explore.device import DeviceModel
    from lwm2m_fota.testing.explore.laws import Firmware
    from lwm2m_fota.testing.explore.search import explore

    space = explore(DeviceModel(Firmware(FirmwareProfile(version="1.2"))))
    assert not space.findings, space.findings[0]

What the models leave out of the world is listed in `abstractions`.
"""
