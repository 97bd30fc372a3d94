// An IFD handler whose card answers in pcscd itself, at once: no reader can be faster than that.
#pragma GCC visibility push(default)
#include <pcsclite.h>
#include <ifdhandler.h>
#pragma GCC visibility pop

#include <string.h>

enum { RESPONSE_BYTES = 66 };

static const UCHAR ATR[] = {0x3B, 0x80, 0x80, 0x01, 0x01};

RESPONSECODE IFDHCreateChannelByName(DWORD Lun, LPSTR DeviceName) {
    (void)Lun;
    (void)DeviceName;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHCreateChannel(DWORD Lun, DWORD Channel) {
    (void)Lun;
    (void)Channel;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHCloseChannel(DWORD Lun) {
    (void)Lun;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD Lun, DWORD Tag, PDWORD Length, PUCHAR Value) {
    (void)Lun;
    if (Tag != TAG_IFD_SLOTS_NUMBER && Tag != TAG_IFD_SIMULTANEOUS_ACCESS) {
        return IFD_ERROR_TAG;
    }
    *Value = 1;
    *Length = 1;
    return IFD_SUCCESS;
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
    (void)Lun;
    (void)Protocol;
    (void)Flags;
    (void)PTS1;
    (void)PTS2;
    (void)PTS3;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHPowerICC(DWORD Lun, DWORD Action, PUCHAR Atr, PDWORD AtrLength) {
    (void)Lun;
    (void)Action;
    memcpy(Atr, ATR, sizeof ATR);
    *AtrLength = sizeof ATR;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHTransmitToICC(DWORD Lun, SCARD_IO_HEADER SendPci, PUCHAR TxBuffer, DWORD TxLength,
                               PUCHAR RxBuffer, PDWORD RxLength, PSCARD_IO_HEADER RecvPci) {
    (void)Lun;
    (void)TxBuffer;
    (void)TxLength;
    memset(RxBuffer, 0, RESPONSE_BYTES);
    RxBuffer[RESPONSE_BYTES - 2] = 0x90;
    *RxLength = RESPONSE_BYTES;
    RecvPci->Protocol = SendPci.Protocol;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHICCPresence(DWORD Lun) {
    (void)Lun;
    return IFD_ICC_PRESENT;
}

RESPONSECODE IFDHControl(DWORD Lun, DWORD dwControlCode, PUCHAR TxBuffer, DWORD TxLength,
                         PUCHAR RxBuffer, DWORD RxLength, LPDWORD pdwBytesReturned) {
    (void)Lun;
    (void)dwControlCode;
    (void)TxBuffer;
    (void)TxLength;
    (void)RxBuffer;
    (void)RxLength;
    *pdwBytesReturned = 0;
    return IFD_ERROR_NOT_SUPPORTED;
}
