//! The log of a sandbox: what came to /dev/log. Reads a socket, in a thread.

use std::fs;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::sandbox::Sandbox;

/// A message is one datagram; ours and sshd's are far shorter.
const MAX_MESSAGE: usize = 65536;

/// A syslog daemon that only listens.
pub(crate) struct Log {
    socket: UnixDatagram,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        let path = sandbox.path("/dev/log");
        let socket = UnixDatagram::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (reader, written) = (socket.try_clone().unwrap(), Arc::clone(&lines));
        thread::spawn(move || {
            let mut buffer = vec![0; MAX_MESSAGE];
            // Nothing is what a socket reads that is shut down.
            while let Ok(read @ 1..) = reader.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..read]).into_owned();
                written.lock().unwrap().push(line);
            }
        });
        Self { socket, lines }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.socket.shutdown(Shutdown::Both).unwrap_or_default();
    }
}
