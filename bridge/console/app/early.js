// Before the first paint: the theme and language that were chosen, so that nothing flashes.
{
  const theme = localStorage.getItem("gpen.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  const language = localStorage.getItem("gpen.language") ?? navigator.language;
  document.documentElement.lang = language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
}
