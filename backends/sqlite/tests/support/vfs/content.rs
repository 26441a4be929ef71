//! The bytes of one file: what programs see, what is on the disk, and what was not synced yet.

/// Asked for a number below its argument whenever chance decides.
pub type Choose<'a> = &'a mut dyn FnMut(u64) -> u64;

/// How the disk writes.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// The least that is written at once, in bytes.
    pub sector: usize,
    /// Whether a cut while a sector is written leaves alone those of its bytes that were not written.
    pub powersafe: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Content {
    seen: Vec<u8>,
    disk: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Truncate(usize),
}

impl Content {
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub fn write(&mut self, at: usize, data: &[u8]) {
        write(&mut self.seen, at, data);
        self.unsynced.push(Change::Write { at, data: data.to_vec() });
    }

    pub fn truncate(&mut self, len: usize) {
        self.seen.truncate(len);
        self.unsynced.push(Change::Truncate(len));
    }

    /// Behind everybody's back, and durable at once.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        *self = Self { seen: bytes.clone(), disk: bytes, unsynced: Vec::new() };
    }

    pub fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { at, data } => write(&mut self.disk, at, &data),
                Change::Truncate(len) => self.disk.truncate(len),
            }
        }
    }

    /// A sync that fails. Programs still see everything, but what did not reach the disk now never will:
    /// the system takes it for written.
    pub fn fail_sync(&mut self, geometry: Geometry, choose: Choose<'_>) {
        self.settle(geometry, choose);
    }

    /// The power goes off: what is seen is what is on the disk.
    pub fn cut(&mut self, geometry: Geometry, choose: Choose<'_>) {
        self.settle(geometry, choose);
        self.seen.clone_from(&self.disk);
    }

    /// Of what was not synced nothing is kept, all, a first part, or any of the sectors.
    fn settle(&mut self, geometry: Geometry, choose: Choose<'_>) {
        let changes = std::mem::take(&mut self.unsynced);
        if changes.is_empty() {
            return;
        }
        let first = match choose(4) {
            0 => 0,
            1 => changes.len(),
            2 => choose(changes.len() as u64) as usize,
            _ => {
                changes.iter().for_each(|change| self.settle_any(change, geometry, choose));
                return;
            }
        };
        for change in &changes[..first] {
            match change {
                Change::Write { at, data } => write(&mut self.disk, *at, data),
                Change::Truncate(len) => self.disk.truncate(*len),
            }
        }
        // The one that was under way.
        if let Some(change) = changes.get(first).filter(|_| first > 0) {
            self.settle_any(change, geometry, choose);
        }
    }

    /// Each sector of a write is kept, dropped or torn, on its own.
    fn settle_any(&mut self, change: &Change, geometry: Geometry, choose: Choose<'_>) {
        let (at, data) = match change {
            Change::Write { at, data } => (*at, data),
            Change::Truncate(len) => {
                if choose(2) == 0 {
                    self.disk.truncate(*len);
                }
                return;
            }
        };
        // Long runs of one fate as well as sectors that alternate.
        let usually = choose(4);
        let mut from = at;
        while from < at + data.len() {
            let to = ((from / geometry.sector + 1) * geometry.sector).min(at + data.len());
            let piece = &data[from - at..to - at];
            match if choose(3) == 0 { choose(4) } else { usually } {
                0 => {}
                1 | 2 => write(&mut self.disk, from, piece),
                _ => self.tear(from, piece, geometry, choose),
            }
            from = to;
        }
    }

    /// The power went off while this piece of a sector was written.
    fn tear(&mut self, at: usize, piece: &[u8], geometry: Geometry, choose: Choose<'_>) {
        if !geometry.powersafe {
            let start = at / geometry.sector * geometry.sector;
            let end = (start + geometry.sector).min(self.disk.len());
            let noise = choose(256) as u8;
            self.disk[start.min(end)..end].fill(noise);
        }
        let kept = choose(piece.len() as u64 + 1) as usize;
        write(&mut self.disk, at, &piece[..kept]);
    }
}

fn write(file: &mut Vec<u8>, at: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    if file.len() < at {
        file.resize(at, 0);
    }
    let inside = data.len().min(file.len() - at);
    file[at..at + inside].copy_from_slice(&data[..inside]);
    file.extend_from_slice(&data[inside..]);
}
