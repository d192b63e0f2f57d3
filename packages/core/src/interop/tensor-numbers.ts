/** Conversion of numbers in tensor files to float32. */
import { bytesPerNumber } from "./safetensors-layout.ts"

/** A float16 from its bits: 5 bits of exponent, 10 bits of fraction. */
export const half = (bits: number): number => {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** bfloat16: the upper half of a float32. */
const brain = (data: DataView, at: number): number => {
  const word = new DataView(new ArrayBuffer(4))
  word.setUint16(0, data.getUint16(at, true))
  return word.getFloat32(0)
}

type Read = (data: DataView, at: number) => number

/** Conversions to float32 by number type. F32 is copied. */
export const conversions: ReadonlyMap<string, Read | undefined> = new Map<string, Read | undefined>([
  ["F32", undefined],
  ["F64", (data, at) => data.getFloat64(at, true)],
  ["F16", (data, at) => half(data.getUint16(at, true))],
  ["BF16", brain],
  ["I64", (data, at) => Number(data.getBigInt64(at, true))],
  ["I32", (data, at) => data.getInt32(at, true)],
])

/** Reads `count` numbers of a supported type, starting at byte `from`. */
export const numbers = (dtype: string, bytes: Uint8Array, from: number, count: number): Float32Array<ArrayBuffer> => {
  const values = new Float32Array(count)
  const read = conversions.get(dtype)
  const width = bytesPerNumber.get(dtype) as number
  if (read === undefined) new Uint8Array(values.buffer).set(bytes.subarray(from, from + count * width))
  else {
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let i = 0; i < count; i++) values[i] = read(data, from + i * width)
  }
  return values
}
