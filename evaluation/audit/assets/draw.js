Plotly.newPlot("dose-figure", ...(({data, layout}) => [data, layout])(FIGURE), {displayModeBar: false, responsive: true});
