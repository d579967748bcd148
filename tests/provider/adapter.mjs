// Where oidc-provider keeps what it issued: in memory, without the bound of its own adapter (1000 entries), which
// a test of many rotations would meet. Expiry is checked by who reads.

const models = new Map();

export class Adapter {
  constructor(name) {
    this.entries = models.get(name) ?? models.set(name, new Map()).get(name);
  }

  async upsert(id, payload) {
    this.entries.set(id, payload);
  }

  async find(id) {
    return this.entries.get(id);
  }

  async findByUid(uid) {
    return this.#first((entry) => entry.uid === uid);
  }

  async findByUserCode(userCode) {
    return this.#first((entry) => entry.userCode === userCode);
  }

  async consume(id) {
    this.entries.get(id).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.entries.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const [id, entry] of this.entries) if (entry.grantId === grantId) this.entries.delete(id);
  }

  #first(matches) {
    return [...this.entries.values()].find(matches);
  }
}
