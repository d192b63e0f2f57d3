/** Readers of all real number types. Plain functions without dependencies, for processes that only read files. */
import { half } from "./tensor-numbers.ts"

type Read = (data: DataView, at: number, little: boolean) => number

/** Readers of numbers, by kind (float, int, unsigned, boolean) and size in bytes, such as `f4`. */
export const numberReaders: Readonly<Record<string, Read>> = {
  f2: (data, at, little) => half(data.getUint16(at, little)),
  f4: (data, at, little) => data.getFloat32(at, little),
  f8: (data, at, little) => data.getFloat64(at, little),
  i1: (data, at) => data.getInt8(at),
  i2: (data, at, little) => data.getInt16(at, little),
  i4: (data, at, little) => data.getInt32(at, little),
  i8: (data, at, little) => Number(data.getBigInt64(at, little)),
  u1: (data, at) => data.getUint8(at),
  u2: (data, at, little) => data.getUint16(at, little),
  u4: (data, at, little) => data.getUint32(at, little),
  u8: (data, at, little) => Number(data.getBigUint64(at, little)),
  b1: (data, at) => data.getUint8(at),
}
