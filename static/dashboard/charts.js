"use strict";

// Unfold draws the charts once, with the colours of the moment: here they follow the theme.
const recolourCharts = () => {
    const style = getComputedStyle(document.documentElement);
    const resolve = (colour) => {
        const name = /^var\((.*)\)$/.exec(colour);
        return name ? style.getPropertyValue(name[1]).trim() : colour;
    };
    for (const canvas of document.querySelectorAll("canvas.chart")) {
        const chart = Chart.getChart(canvas);
        if (!chart) {
            continue;
        }
        JSON.parse(canvas.dataset.value).datasets.forEach((dataset, number) => {
            chart.data.datasets[number].backgroundColor = resolve(dataset.backgroundColor);
        });
        const text = resolve("var(--chart-text)");
        chart.options.color = text;
        chart.options.plugins.legend.labels.color = text;
        for (const axis of Object.values(chart.options.scales)) {
            axis.ticks.color = text;
        }
        chart.update("none");
    }
};

window.addEventListener("load", recolourCharts);
new MutationObserver(recolourCharts).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["class"],
});
