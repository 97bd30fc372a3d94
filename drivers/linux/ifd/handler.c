// The functions that pcscd calls (ifdhandler.h). Each finds the slot and leaves the rest to others.

#pragma GCC visibility push(default)
#include <pcsclite.h>
#include <ifdhandler.h>
#pragma GCC visibility pop

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "attributes.h"
#include "exchange.h"
#include "keeper.h"
#include "log.h"
#include "slots.h"

// Guards the keeper, as pcscd can open and close channels on several threads.
static pthread_mutex_t channels = PTHREAD_MUTEX_INITIALIZER;

// Splits DEVICENAME of reader.conf, SOCKET:SLOT. False if it is not of that form.
static bool read_device(const char *device, char *path, size_t room, unsigned *index) {
    const char *colon = strrchr(device, ':');
    char *end = NULL;
    if (colon == NULL || (size_t)(colon - device) >= room || colon[1] < '0' || colon[1] > '9') {
        return false;
    }
    memcpy(path, device, (size_t)(colon - device));
    path[colon - device] = '\0';
    unsigned long number = strtoul(colon + 1, &end, 10);
    *index = (unsigned)number;
    return *end == '\0' && number < SLOTS;
}

RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName) {
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    unsigned index;
    if (!read_device(DeviceName, path, sizeof path, &index)) {
        LOG(PCSC_LOG_CRITICAL, "DEVICENAME %s is not SOCKET:SLOT", DeviceName);
        return IFD_COMMUNICATION_ERROR;
    }
    pthread_mutex_lock(&channels);
    bool started = keeper_start(path);
    if (started) {
        slot_open(slots_at(index), Lun);
    }
    pthread_mutex_unlock(&channels);
    return started ? IFD_SUCCESS : IFD_COMMUNICATION_ERROR;
}

RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel) {
    (void)Lun;
    (void)Channel;
    LOG(PCSC_LOG_CRITICAL, "the reader's configuration has no DEVICENAME");
    return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHCloseChannel(DWORD Lun) {
    struct slot *slot = slots_named(Lun);
    if (slot == NULL) {
        return IFD_NO_SUCH_DEVICE;
    }
    pthread_mutex_lock(&channels);
    slot_close(slot);
    if (!slots_any_open()) {
        keeper_stop();
    }
    pthread_mutex_unlock(&channels);
    return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value) {
    struct slot *slot = slots_named(Lun);
    return slot == NULL ? IFD_NO_SUCH_DEVICE : attributes_get(slot, Tag, Value, Length);
}

RESPONSECODE IFDHSetCapabilities(DWORD Lun, DWORD Tag, DWORD Length, PUCHAR Value) {
    (void)Lun;
    (void)Tag;
    (void)Length;
    (void)Value;
    return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHSetProtocolParameters(DWORD Lun, DWORD Protocol, UCHAR Flags, UCHAR PTS1,
                                       UCHAR PTS2, UCHAR PTS3) {
    struct slot *slot = slots_named(Lun);
    (void)Protocol; // whole APDUs pass, so that no protocol differs from another
    (void)Flags;
    (void)PTS1;
    (void)PTS2;
    (void)PTS3;
    return slot != NULL && slot_connect(slot) ? IFD_SUCCESS : IFD_ICC_NOT_PRESENT;
}

static bool power(struct slot *slot, DWORD action) {
    switch (action) {
    case IFD_POWER_UP:
        return slot_power(slot, RECORD_ON);
    case IFD_RESET:
        return slot_power(slot, RECORD_RESET);
    default:
        return false;
    }
}

RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength) {
    struct slot *slot = slots_named(Lun);
    if (slot == NULL) {
        return IFD_NO_SUCH_DEVICE;
    }
    if (Action == IFD_POWER_DOWN) {
        slot_power(slot, RECORD_OFF); // also if there is no card any more
        *AtrLength = 0;
        return IFD_SUCCESS;
    }
    uint8_t atr[ATR_LONGEST];
    size_t length = power(slot, Action) ? slot_atr(slot, atr) : 0;
    if (length == 0) {
        *AtrLength = 0;
        return IFD_ERROR_POWER_ACTION;
    }
    return attributes_give(atr, length, Atr, AtrLength);
}

RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer, DWORD TxLength,
                               PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci) {
    struct slot *slot = slots_named(Lun);
    size_t length = *RxLength;
    *RxLength = 0;
    if (slot == NULL) {
        return IFD_NO_SUCH_DEVICE;
    }
    if (RecvPci != NULL) {
        RecvPci->Protocol = SendPci.Protocol;
    }
    switch (exchange(slot, TxBuffer, TxLength, RxBuffer, &length)) {
    case OUTCOME_RESPONSE:
        *RxLength = length;
        return IFD_SUCCESS;
    case OUTCOME_TOO_LONG:
        return IFD_ERROR_INSUFFICIENT_BUFFER;
    case OUTCOME_NO_CARD:
    default:
        // For IFD_ICC_NOT_PRESENT pcscd would forget the card that it sees by then: if that is the
        // next one already, nobody could use it.
        return IFD_COMMUNICATION_ERROR;
    }
}

RESPONSECODE IFDHICCPresence(DWORD Lun) {
    struct slot *slot = slots_named(Lun);
    if (slot == NULL) {
        return IFD_NO_SUCH_DEVICE;
    }
    return slot_is_occupied(slot) ? IFD_ICC_PRESENT : IFD_ICC_NOT_PRESENT;
}

RESPONSECODE IFDHControl(DWORD Lun, DWORD dwControlCode, PUCHAR TxBuffer, DWORD TxLength,
                         PUCHAR RxBuffer, DWORD RxLength, LPDWORD pdwBytesReturned) {
    (void)TxBuffer;
    (void)TxLength;
    if (slots_named(Lun) == NULL) {
        *pdwBytesReturned = 0;
        return IFD_NO_SUCH_DEVICE;
    }
    return attributes_control(dwControlCode, RxBuffer, RxLength, pdwBytesReturned);
}
