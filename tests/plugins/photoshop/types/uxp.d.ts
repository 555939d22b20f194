// The part of UXP that the plug-in uses. The published @adobe/cc-ext-uxp-types puts some of it in other places.

declare module "uxp" {
  interface Entry {
    read(): Promise<string>;
  }
  interface Folder {
    getEntry(name: string): Promise<Entry>;
  }
  interface EntryPoints {
    panels: Record<string, { create(root: HTMLElement): void }>;
    commands: Record<string, { run(): Promise<void> }>;
  }
  const host: { name: string; version: string; uiLocale: string };
  const entrypoints: { setup(points: EntryPoints): void };
  const storage: {
    secureStorage: {
      getItem(key: string): Promise<unknown>;
      setItem(key: string, value: string | Uint8Array): Promise<unknown>;
      removeItem(key: string): Promise<unknown>;
    };
    localFileSystem: { getPluginFolder(): Promise<Folder> };
  };
}

// CommonJS as UXP has it; the checker resolves the names of `require` itself.
declare function require(name: string): any;
declare const module: { exports: unknown };
