// A value that many parts of the page look at, and a hook that follows it.
import { useEffect, useState } from "./view.js";

export function store(initial) {
  const listeners = new Set();
  return {
    value: initial,
    set(value) {
      this.value = value;
      for (const listener of [...listeners]) listener(value);
    },
    follow(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore(followed) {
  const [value, setValue] = useState(followed.value);
  useEffect(() => {
    setValue(followed.value); // it may have changed between the first look and now
    return followed.follow(setValue);
  }, [followed]);
  return value;
}
