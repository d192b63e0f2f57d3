/** Calls a shared library through the runtime's foreign functions: bun:ffi, Deno.dlopen, or koffi under Node. */

/** Argument and result types: `array` is a typed array that the function uses during the call, `pointer` an address. */
export type ForeignType = "i32" | "f64" | "array" | "pointer" | "void"

/** The types of the result and the arguments. */
export type Signature = readonly [returns: ForeignType, ...args: ReadonlyArray<ForeignType>]

/** An address in the runtime's representation; null or 0 is the null pointer. */
export type Address = unknown

export interface Foreign<Name extends string> {
  // Each runtime checks the arguments against the signature.
  // biome-ignore lint/suspicious/noExplicitAny: the signatures are data, so TypeScript cannot know the types
  readonly functions: { readonly [N in Name]: (...args: ReadonlyArray<any>) => any }
  /** A view of the memory at a non-null address. It is invalid once the library frees that memory. */
  readonly view: (address: Address, bytes: number) => ArrayBuffer
}

/** Loads a library. The exported function of each name has the prefix `prefix`. */
export const loadForeign = <Name extends string>(
  path: string,
  prefix: string,
  signatures: Readonly<Record<Name, Signature>>,
): Promise<Foreign<Name>> => {
  const named = Object.entries<Signature>(signatures).map(([name, [returns, ...args]]) => ({ name, returns, args }))
  const load = "Bun" in globalThis ? loadWithBun : "Deno" in globalThis ? loadWithDeno : loadWithKoffi
  return load(path, prefix, named) as Promise<Foreign<Name>>
}

type Named = ReadonlyArray<{
  readonly name: string
  readonly returns: ForeignType
  readonly args: ReadonlyArray<ForeignType>
}>

const loadWithBun = async (path: string, prefix: string, named: Named): Promise<Foreign<string>> => {
  const { dlopen, toArrayBuffer } = await import("bun:ffi")
  const typeOf = (type: ForeignType) => (type === "array" || type === "pointer" ? "ptr" : type)
  const { symbols } = dlopen(
    path,
    Object.fromEntries(
      named.map(({ name, returns, args }) => [prefix + name, { args: args.map(typeOf), returns: typeOf(returns) }]),
    ),
  )
  return {
    functions: Object.fromEntries(
      named.map(({ name }) => [name, symbols[prefix + name] as (...args: unknown[]) => unknown]),
    ),
    view: (address, bytes) => toArrayBuffer(address as Parameters<typeof toArrayBuffer>[0], 0, bytes),
  }
}

/** The subset of Deno's API that is used here. */
interface Deno {
  readonly dlopen: (
    path: string,
    symbols: Readonly<Record<string, { parameters: ReadonlyArray<string>; result: string }>>,
  ) => { readonly symbols: Readonly<Record<string, (...args: ReadonlyArray<unknown>) => unknown>> }
  readonly UnsafePointerView: { readonly getArrayBuffer: (pointer: unknown, bytes: number) => ArrayBuffer }
}

const loadWithDeno = async (path: string, prefix: string, named: Named): Promise<Foreign<string>> => {
  const { dlopen, UnsafePointerView } = (globalThis as unknown as { readonly Deno: Deno }).Deno
  const typeOf = (type: ForeignType) => (type === "array" ? "buffer" : type)
  const { symbols } = dlopen(
    path,
    Object.fromEntries(
      named.map(({ name, returns, args }) => [
        prefix + name,
        { parameters: args.map(typeOf), result: typeOf(returns) },
      ]),
    ),
  )
  return {
    functions: Object.fromEntries(named.map(({ name }) => [name, symbols[prefix + name] as () => unknown])),
    view: (address, bytes) => UnsafePointerView.getArrayBuffer(address, bytes),
  }
}

const koffiTypes = { i32: "int32_t", f64: "double", array: "void *", pointer: "void *", void: "void" } as const

const loadWithKoffi = async (path: string, prefix: string, named: Named): Promise<Foreign<string>> => {
  const { default: koffi } = await import("koffi").catch(() => {
    throw new Error("Node calls native code through the package koffi, which is not installed")
  })
  const library = koffi.load(path)
  const typeOf = (type: ForeignType) => koffiTypes[type]
  return {
    functions: Object.fromEntries(
      named.map(({ name, returns, args }) => [name, library.func(prefix + name, typeOf(returns), args.map(typeOf))]),
    ),
    view: (address, bytes) => koffi.view(address, bytes),
  }
}
