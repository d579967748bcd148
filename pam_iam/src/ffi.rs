//! Calls that pam-bindings and nix do not have: libpam's environment and data (`kept_session`), and the name service with
//! bounded buffers. One unsafe operation a block.

pub(crate) mod kept_session;

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;
use pam::constants::PamResultCode;
use pam::module::PamHandle;

/// A passwd entry is a line; what does not fit here is no person's. A fixed size, so that there is one look-up and
/// never a second one with a larger buffer.
const PASSWD_BUFFER: usize = 64 * 1024;

unsafe extern "C" {
    // pam_getenv(3), pam_putenv(3): of the libpam that pam-bindings links.
    fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;
    fn pam_putenv(pamh: *mut PamHandle, name_value: *const c_char) -> c_int;
}

/// What the module needs of a passwd entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: CString,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: CString,
}

/// A variable of the PAM environment, which is the login's to be, not the host's.
pub(crate) fn pam_variable(pamh: &mut PamHandle, name: &CStr) -> Option<CString> {
    // SAFETY: the handle is libpam's own, and the name ends with a NUL.
    let value = unsafe { pam_getenv(pamh, name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string inside the handle; it is copied before anything can change the environment.
    Some(unsafe { CStr::from_ptr(value) }.to_owned())
}

/// Sets a variable of the PAM environment; `setting` is `NAME=value`.
pub(crate) fn set_pam_variable(pamh: &mut PamHandle, setting: &CStr) -> Result<(), PamResultCode> {
    // SAFETY: the handle is libpam's own; libpam copies the string.
    let code = unsafe { pam_putenv(pamh, setting.as_ptr()) };
    match PamResultCode::try_from(code) {
        Ok(PamResultCode::PAM_SUCCESS) => Ok(()),
        Ok(code) => Err(code),
        Err(_) => Err(PamResultCode::PAM_SYSTEM_ERR),
    }
}

/// The passwd entry of `name`: one look-up.
pub(crate) fn account(name: &CStr) -> Result<Option<Account>, Errno> {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    // Where the host may have no more memory, an allocation that cannot fail would end it.
    let mut buffer = Vec::<u8>::new();
    buffer.try_reserve_exact(PASSWD_BUFFER).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(PASSWD_BUFFER, 0);
    let mut found = ptr::null_mut();
    // SAFETY: every pointer is to memory that is ours for the whole call, and the length is the buffer's.
    let code = unsafe {
        libc::getpwnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            &raw mut found,
        )
    };
    if !is_found(code, found)? {
        return Ok(None);
    }
    // SAFETY: it was found, so the entry has been filled in.
    let entry = unsafe { entry.assume_init() };
    let (Some(name), Some(home)) = (copy(entry.pw_name), copy(entry.pw_dir)) else {
        return Err(Errno::EINVAL);
    };
    Ok(Some(Account { name, uid: entry.pw_uid, gid: entry.pw_gid, home }))
}

/// What a look-up came to. Some name services say by an error that there is no such name (getpwnam(3)).
fn is_found<T>(code: c_int, entry: *mut T) -> Result<bool, Errno> {
    match Errno::from_raw(code) {
        _ if code == 0 => Ok(!entry.is_null()),
        Errno::ENOENT | Errno::ESRCH => Ok(false),
        errno => Err(errno),
    }
}

/// The text of a passwd entry, whose buffer still lives in the caller.
fn copy(text: *const c_char) -> Option<CString> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string in the buffer that getpwnam_r(3) filled.
    Some(unsafe { CStr::from_ptr(text) }.to_owned())
}

/// Fills `groups` with the gids that the name service has for `user`; how many there are. Allocates nothing itself.
pub(crate) fn group_list(user: &CStr, gid: u32, groups: &mut [u32]) -> Result<usize, Errno> {
    let mut count = c_int::try_from(groups.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `count` says how many gids there is room for.
    let code = unsafe { libc::getgrouplist(user.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if code < 0 || count > groups.len() { Err(Errno::ERANGE) } else { Ok(count) }
}

/// The gid of a group. Allocates nothing itself; `buffer` takes the group's entry, members included.
pub(crate) fn group_id(name: &CStr, buffer: &mut [u8]) -> Result<Option<u32>, Errno> {
    let mut entry = MaybeUninit::<libc::group>::uninit();
    let mut found = ptr::null_mut();
    // SAFETY: every pointer is to memory that is ours for the whole call, and the length is the buffer's.
    let code = unsafe {
        libc::getgrnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            &raw mut found,
        )
    };
    if !is_found(code, found)? {
        return Ok(None);
    }
    // SAFETY: it was found, so the entry has been filled in.
    Ok(Some(unsafe { entry.assume_init() }.gr_gid))
}

/// How a file is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Beside others who have it shared.
    Shared,
    /// Alone.
    Exclusive,
}

/// flock(2), without waiting. Not by nix's type, which unlocks when it is dropped, and for a forked child too: the
/// lock is one of the open file description. EWOULDBLOCK where somebody else has it.
pub(crate) fn lock(file: impl AsFd, how: Lock) -> nix::Result<()> {
    let how = match how {
        Lock::Shared => libc::LOCK_SH,
        Lock::Exclusive => libc::LOCK_EX,
    };
    // SAFETY: a plain system call on a descriptor that the caller has open.
    let code = unsafe { libc::flock(file.as_fd().as_raw_fd(), how | libc::LOCK_NB) };
    Errno::result(code).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_and_nobody_has_an_impossible_name() {
        let root = account(c"root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid, root.name.as_c_str()), (0, 0, c"root"));
        assert_eq!(account(c"no:such:user"), Ok(None));
    }

    #[test]
    fn a_name_service_may_say_in_two_ways_that_there_is_none() {
        let none = ptr::null_mut::<u8>();
        assert_eq!((is_found(0, ptr::dangling_mut::<u8>()), is_found(0, none)), (Ok(true), Ok(false)));
        assert_eq!([libc::ENOENT, libc::ESRCH].map(|code| is_found(code, none)), [Ok(false); 2]);
        assert_eq!(
            [libc::EIO, libc::ERANGE].map(|code| is_found(code, none)),
            [Err(Errno::EIO), Err(Errno::ERANGE)]
        );
    }

    #[test]
    fn groups_are_found_within_the_room_there_is() {
        let mut groups = [u32::MAX; 64];
        assert!(group_list(c"root", 4242, &mut groups).unwrap() >= 1);
        assert!(groups.contains(&4242));
        assert_eq!(group_list(c"root", 4242, &mut []), Err(Errno::ERANGE));
        let mut buffer = [0; 1024];
        assert_eq!(group_id(c"root", &mut buffer), Ok(Some(0)));
        assert_eq!(group_id(c"no:such:group", &mut buffer), Ok(None));
        assert_eq!(group_id(c"root", &mut []), Err(Errno::ERANGE));
    }
}
