"use strict";
// Pixels of a layer or mask in tiles, copied on write, so that a history state costs nothing.

const SIDE = 256;
const KINDS = { 8: Uint8Array, 16: Uint16Array, 32: Float32Array };
const FULL = { 8: 255, 16: 32768, 32: 1 };

class Raster {
  /**
   * @param {8 | 16 | 32} bits
   * @param {number} channels alpha, where there is one, last
   * @param {number} [outside] value where nothing was written
   */
  constructor(bits, channels, outside = 0) {
    Object.assign(this, { bits, channels, outside });
    this.tiles = new Map();
    this.bounds = null;
    /** Computes pixels that were never stored: (x, y) => values. */
    this.procedure = null;
  }

  clone() {
    const copy = new Raster(this.bits, this.channels, this.outside);
    copy.tiles = new Map(this.tiles);
    copy.bounds = this.bounds && { ...this.bounds };
    copy.procedure = this.procedure;
    return copy;
  }

  get bytes() {
    let sum = 0;
    for (const tile of this.tiles.values()) sum += tile.data.byteLength;
    return sum;
  }

  /** @returns {ArrayLike<number> & {set: any}} chunky values of a rectangle */
  read({ left, top, right, bottom }) {
    const width = right - left;
    const result = new KINDS[this.bits](width * (bottom - top) * this.channels);
    if (this.outside) result.fill(this.outside);
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; ) {
        const end = Math.min(right, (Math.floor(x / SIDE) + 1) * SIDE);
        const tile = this.tiles.get(key(x, y));
        const write = ((y - top) * width + x - left) * this.channels;
        if (tile) {
          const start = offset(x, y) * this.channels;
          result.set(tile.data.subarray(start, start + (end - x) * this.channels), write);
        } else if (this.procedure && this.bounds && y >= this.bounds.top && y < this.bounds.bottom) {
          for (let at = Math.max(x, this.bounds.left); at < Math.min(end, this.bounds.right); at += 1) {
            const values = this.procedure(at, y);
            for (let c = 0; c < this.channels; c += 1) result[write + (at - x) * this.channels + c] = values[c];
          }
        }
        x = end;
      }
    }
    return result;
  }

  /** Values of the raster's own kind over a rectangle. */
  write(rect, values) {
    const { left, top, right, bottom } = rect;
    const width = right - left;
    if (values.length !== width * (bottom - top) * this.channels) throw new Error("The buffer does not fit.");
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; ) {
        const end = Math.min(right, (Math.floor(x / SIDE) + 1) * SIDE);
        const tile = this.own(x, y);
        const read = ((y - top) * width + x - left) * this.channels;
        tile.data.set(values.subarray(read, read + (end - x) * this.channels), offset(x, y) * this.channels);
        x = end;
      }
    }
    const old = this.bounds;
    this.bounds = old
      ? {
          left: Math.min(old.left, left),
          top: Math.min(old.top, top),
          right: Math.max(old.right, right),
          bottom: Math.max(old.bottom, bottom),
        }
      : { left, top, right, bottom };
  }

  own(x, y) {
    const name = key(x, y);
    let tile = this.tiles.get(name);
    if (!tile || tile.owner !== this) {
      const fresh = new KINDS[this.bits](SIDE * SIDE * this.channels);
      Raster.storedBytes += fresh.byteLength;
      if (tile) fresh.set(tile.data);
      else if (this.outside) fresh.fill(this.outside);
      tile = { owner: this, data: fresh };
      this.tiles.set(name, tile);
    }
    return tile;
  }
}

/** What all documents of this process have taken; the plug-in's own memory is the rest. */
Raster.storedBytes = 0;

const key = (x, y) => `${Math.floor(x / SIDE)},${Math.floor(y / SIDE)}`;
const offset = (x, y) => (y - Math.floor(y / SIDE) * SIDE) * SIDE + x - Math.floor(x / SIDE) * SIDE;

module.exports = { FULL, KINDS, Raster };
