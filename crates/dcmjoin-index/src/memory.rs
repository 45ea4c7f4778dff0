//! What the C library's allocator keeps of memory that is free.

/// Arenas that are of use: more threads than these seldom allocate at the same moment.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS_MAX: usize = 8;

/// Bounds the allocator's arenas by the cores of the machine.
///
/// By itself glibc gives up to eight arenas a core to the threads that ask, and each keeps what was
/// freed in it: ranges of an archive, read by many threads in turn, then take several times the
/// memory that is in use. To be called first thing in `main`. Elsewhere it does nothing.
pub fn bound_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(cores.min(ARENAS_MAX)).unwrap_or(1);
        // SAFETY: mallopt(3) takes two numbers and no pointer, may be called at any time, and is
        // safe among threads (it locks the main arena); an unknown parameter or a value it does not
        // like makes it return 0 and change nothing.
        #[expect(unsafe_code, reason = "the C library has no safe way to say this")]
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, arenas);
        }
    }
}
