#include "attributes.h"

#include <reader.h>
#include <stdio.h>
#include <string.h>

#include "slots.h"

static const char VENDOR[] = "Cloudcard";
static const char TYPE[] = "Cloudcard reader";

enum {
    VERSION = 0x01000000,                // 1.0, as PC/SC writes versions
    VENDOR_CHANNEL = 0xF1,               // a type of channel that is the vendor's own
    ICC_PRESENT = 2,                     // a card is in, not swallowed
    PROPERTIES_CONTROL = 0x42330000 + FEATURE_GET_TLV_PROPERTIES, // libccid's number
    APDU_DATA_LONGEST = 65536,
};

RESPONSECODE attributes_give(const void *answer, DWORD answer_length, PUCHAR value, PDWORD length) {
    if (value == NULL || *length < answer_length) {
        *length = answer_length;
        return IFD_ERROR_INSUFFICIENT_BUFFER;
    }
    *length = answer_length;
    memcpy(value, answer, answer_length);
    return IFD_SUCCESS;
}

static RESPONSECODE give_byte(uint8_t byte, PUCHAR value, PDWORD length) {
    return attributes_give(&byte, sizeof byte, value, length);
}

// A DWORD of an attribute has four bytes, whatever a DWORD of this computer has.
static RESPONSECODE give_number(uint32_t number, PUCHAR value, PDWORD length) {
    return attributes_give(&number, sizeof number, value, length);
}

static RESPONSECODE give_serial(const struct slot *slot, PUCHAR value, PDWORD length) {
    char serial[sizeof "CC00"];
    snprintf(serial, sizeof serial, "CC%02u", slots_index(slot) % 100);
    return attributes_give(serial, sizeof serial - 1, value, length);
}

static RESPONSECODE give_atr(struct slot *slot, PUCHAR value, PDWORD length) {
    uint8_t atr[ATR_LONGEST];
    size_t found = slot_atr(slot, atr);
    return found > 0 ? attributes_give(atr, found, value, length) : IFD_ICC_NOT_PRESENT;
}

// For pcscd's polling thread, which calls it until a stop.
static RESPONSECODE await_change(DWORD lun, int milliseconds) {
    struct slot *slot = slots_named(lun);
    if (slot == NULL) {
        return IFD_NO_SUCH_DEVICE;
    }
    slot_await_change(slot, milliseconds);
    return IFD_SUCCESS;
}

static RESPONSECODE stop_waiting(DWORD lun) {
    struct slot *slot = slots_named(lun);
    if (slot != NULL) {
        slot_stop_waiting(slot);
    }
    return IFD_SUCCESS;
}

RESPONSECODE attributes_get(struct slot *slot, DWORD tag, PUCHAR value, PDWORD length) {
    RESPONSECODE (*const await)(DWORD, int) = await_change;
    RESPONSECODE (*const stop)(DWORD) = stop_waiting;
    switch (tag) {
    case TAG_IFD_ATR:
    case SCARD_ATTR_ATR_STRING:
        return give_atr(slot, value, length);
    case TAG_IFD_SLOTS_NUMBER:
        return give_byte(1, value, length);
    case TAG_IFD_SIMULTANEOUS_ACCESS:
        return give_byte(SLOTS, value, length);
    case TAG_IFD_THREAD_SAFE:
    case TAG_IFD_SLOT_THREAD_SAFE:
        return give_byte(1, value, length);
    case TAG_IFD_POLLING_THREAD_WITH_TIMEOUT:
        return attributes_give(&await, sizeof await, value, length);
    case TAG_IFD_STOP_POLLING_THREAD:
        return attributes_give(&stop, sizeof stop, value, length);
    case SCARD_ATTR_VENDOR_NAME:
        return attributes_give(VENDOR, sizeof VENDOR - 1, value, length);
    case SCARD_ATTR_VENDOR_IFD_TYPE:
        return attributes_give(TYPE, sizeof TYPE - 1, value, length);
    case SCARD_ATTR_VENDOR_IFD_VERSION:
        return give_number(VERSION, value, length);
    case SCARD_ATTR_VENDOR_IFD_SERIAL_NO:
        return give_serial(slot, value, length);
    case SCARD_ATTR_CHANNEL_ID:
        return give_number((uint32_t)VENDOR_CHANNEL << 16 | slots_index(slot), value, length);
    case SCARD_ATTR_MAXINPUT:
        return give_number(COMMAND_LONGEST, value, length);
    case SCARD_ATTR_ICC_PRESENCE:
        return give_byte(slot_is_occupied(slot) ? ICC_PRESENT : 0, value, length);
    case SCARD_ATTR_ICC_INTERFACE_STATUS:
        return give_byte(slot_is_occupied(slot), value, length);
    default:
        return IFD_ERROR_TAG;
    }
}

static void write_big_endian(uint8_t *bytes, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static void write_little_endian(uint8_t *bytes, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

RESPONSECODE attributes_control(DWORD code, PUCHAR out, DWORD room, LPDWORD length) {
    *length = room;
    if (code == CM_IOCTL_GET_FEATURE_REQUEST) {
        // No reader without a keypad may offer FEATURE_VERIFY_PIN_DIRECT.
        uint8_t features[] = {FEATURE_GET_TLV_PROPERTIES, 4, 0, 0, 0, 0};
        write_big_endian(features + 2, PROPERTIES_CONTROL);
        return attributes_give(features, sizeof features, out, length);
    }
    if (code == PROPERTIES_CONTROL) {
        // So applications know that extended APDUs pass.
        uint8_t properties[] = {PCSCv2_PART10_PROPERTY_dwMaxAPDUDataSize, 4, 0, 0, 0, 0};
        write_little_endian(properties + 2, APDU_DATA_LONGEST);
        return attributes_give(properties, sizeof properties, out, length);
    }
    *length = 0;
    return IFD_ERROR_NOT_SUPPORTED;
}
