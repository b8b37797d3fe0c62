/* The one call of bcryptprimitives.dll that Rust's standard library makes, and that Wine 8 does not have. Only for
 * Wine: scripts/check-platforms puts it into the throwaway Windows there, and no release contains it. */
#include <windows.h>

/* RtlGenRandom, under the name that advapi32.dll exports. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
